"""Writes to a ledger from concurrent requests."""

import asyncio
from collections.abc import Callable
from typing import Any

from clinical_camel.teachers.cache import Ledger


class LedgerWriter:
    """Writes to a ledger from concurrent requests; a turn of the event loop is a transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: list[asyncio.Future] = []

    async def write(self, record: Callable[..., Any], *row: Any) -> Any:
        """Return the result of a `record_` method of the ledger, once its row is on disk."""
        if not self._ledger.in_transaction:
            self._ledger.begin_transaction()
            asyncio.get_running_loop().call_soon(self._commit)  # after all that is ready now
        try:
            result = record(*row)
        except Exception as error:
            if not self._ledger.in_transaction:  # SQLite rolled back the other writes as well
                self._notify(error)
            raise
        committed = asyncio.get_running_loop().create_future()
        self._waiting.append(committed)
        await committed
        return result

    def _commit(self) -> None:
        if not self._ledger.in_transaction:
            return
        try:
            self._ledger.commit()
        except Exception as error:  # a full disk
            self._notify(error)
        else:
            self._notify(None)

    def _notify(self, error: Exception | None) -> None:
        """Propagate the result of a commit to all waiters."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():  # a cancelled waiter is done
                future.set_exception(error) if error else future.set_result(None)
