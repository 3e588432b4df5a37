"""How many of the rows: the same ones on every machine, and a smaller draw is part of a larger."""

import hashlib
from typing import Any

from clinical_camel.data.shapes import DataError


def sample(rows: list[Any], limit: int) -> list[Any]:
    """`limit` rows spread over the whole file, in file order; 0 means all.

    Not the first rows: files are sorted by subject (MMLU), by institute (MedQuAD) or by kind of
    transcript (ACI-Bench), so the first hundred would be another benchmark. The rows with the
    smallest sha256 of their id are kept: the same ones on every machine, and those of a small
    limit are part of those of a larger one. Raises DataError for a limit below 0.
    """
    if limit < 0:
        raise DataError(f"limit is 0 (all rows) or more, is {limit}")
    return lowest_hashes(rows, limit) if limit else rows


def check_share(spec: str, share: float) -> None:
    """Raises DataError for a share below 0, or NaN."""
    if not share >= 0.0:
        raise DataError(f"{spec}: share is 0.0 or more (1.0: each row once), is {share}")


def share_of(rows: list[Any], share: float, seed: int) -> list[Any]:
    """`share` of the rows in their order; 2.5 is all of them twice and half of them a third time.

    The draw depends on the seed and the ids alone, and a smaller share is part of a larger one:
    a series of mixtures differs in size only.
    """
    whole = int(share)
    return rows * whole + lowest_hashes(rows, round((share - whole) * len(rows)), salt=f"{seed}:")


def lowest_hashes(rows: list[Any], count: int, salt: str = "") -> list[Any]:
    """The `count` rows with the smallest sha256 of salt and id, in their order."""
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"{salt}{row.id}".encode()).digest())
    kept = {row.id for row in ranked[:count]}
    return [row for row in rows if row.id in kept]
