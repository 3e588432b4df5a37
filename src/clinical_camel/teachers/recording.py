"""Prompts for a writer outside this program, and the ledger of the raw replies.

For a language model without an endpoint, or a person: `export_requests` writes one file per prompt,
the writer puts one raw reply per prompt into a file of the same name, and `import_replies` records
them. The teacher `replay` then reads the ledger. A folder has these files:

    requests/<key>.json    id and messages of a prompt
    requests/<key>.txt     the same as the text that the writer sees
    replies/<key>.txt      the raw reply, exactly as the writer gave it
"""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clinical_camel.core.files import write_bytes
from clinical_camel.teachers.cache import REPEATED, Ledger
from clinical_camel.teachers.teacher import Query, Teacher


class Writer(Teacher):
    """Who answers the exported prompts; `model` is the name that the ledger records."""

    name = "writer"
    prompted = True

    def __init__(self, model: str) -> None:
        self.model = model


def merge_queries(*sets: Mapping[str, Query]) -> dict[str, Query]:
    """Merge sets of queries; those that repeat an earlier prompt are marked as REPEATED.

    Two sets may have an article in common. The replies to both prompts are then recorded; the
    teacher `replay` never uses those that are marked.
    """
    merged: dict[str, Query] = {}
    earlier: set[str] = set()
    for key, query in (pair for queries in sets for pair in queries.items()):
        if query.key in earlier:
            provenance = query.provenance | {"settings": REPEATED}
            merged[key] = replace(query, key=f"{query.key}/{key}", provenance=provenance)
        else:
            merged[key] = query
        earlier.add(query.key)
    return merged


def export_requests(queries: Mapping[str, Query], folder: Path) -> None:
    """Write requests/<key>.json and .txt for each query; existing files of today's prompts stay.

    Raises ValueError, and writes nothing, if a file has another prompt: its reply may exist already
    and would then seem to answer today's prompt.
    """
    contents = {key: _format_request(query) for key, query in queries.items()}
    for key, content in contents.items():
        file = folder / "requests" / f"{key}.json"
        if file.exists() and json.loads(file.read_bytes()) != content:
            raise ValueError(
                f"requests/{key}.json has another prompt than today's; export to a new folder"
            )
    (folder / "requests").mkdir(parents=True, exist_ok=True)
    (folder / "replies").mkdir(exist_ok=True)
    for key, content in contents.items():
        text = "\n\n".join(f"[{m['role']}]\n\n{m['content']}" for m in content["messages"])
        write_bytes(folder / "requests" / f"{key}.json", json.dumps(content).encode())
        write_bytes(folder / "requests" / f"{key}.txt", f"{text}\n".encode())


def _format_request(query: Query) -> dict[str, Any]:
    return {"id": query.request.id, "messages": query.messages}


def import_replies(queries: Mapping[str, Query], folder: Path, ledger_file: Path) -> int:
    """Record the replies in a folder that the ledger lacks; return how many.

    Each reply is recorded byte for byte as the content of a chat completion. Raises ValueError,
    with all problems and before anything is recorded, for a reply to another prompt than today's,
    an empty reply, one that is not UTF-8, and one that differs from the recorded reply.
    """
    files = sorted((folder / "replies").glob("*.txt"))
    replies = {file.stem: file for file in files}
    problems = [p for key in replies for p in _check_reply(queries.get(key), key, folder)]
    _require_none(problems)
    with contextlib.closing(Ledger(ledger_file)) as ledger:
        bodies = {key: _build_body(file, queries[key]) for key, file in replies.items()}
        recorded = {key: ledger.get(queries[key].key) for key in replies}
        changed = [key for key, old in recorded.items() if old and old["raw"] != bodies[key]]
        _require_none(f"replies/{key}.txt differs from the recorded reply" for key in changed)
        ledger.begin_transaction()
        new = [key for key, old in recorded.items() if not old]
        for key in new:
            query = queries[key]
            ledger.append(query.key, {"raw": bodies[key], **query.provenance})
        ledger.commit()
    with contextlib.closing(sqlite3.connect(ledger_file)) as db:
        db.execute("VACUUM")
    return len(new)


def _require_none(problems: Any) -> None:
    """Raise ValueError with all problems, one a line."""
    if lines := list(problems):
        raise ValueError("\n".join(lines))


def _check_reply(query: Query | None, key: str, folder: Path) -> list[str]:
    """Return why a reply cannot be recorded; [] if it can."""
    request, reply = folder / "requests" / f"{key}.json", folder / "replies" / f"{key}.txt"
    if query is None:
        return [f"replies/{key}.txt answers no prompt of today's; remove it"]
    if not request.is_file():
        return [f"replies/{key}.txt: requests/{key}.json is missing; it has the prompt"]
    if json.loads(request.read_bytes()) != _format_request(query):
        return [
            f"replies/{key}.txt answers another prompt than today's (requests/{key}.json); export "
            "to a new folder and let the writer answer that prompt"
        ]
    content = reply.read_bytes()
    if not content.strip():
        return [f"replies/{key}.txt is empty; remove it until the reply is there"]
    try:
        content.decode()
    except UnicodeDecodeError:
        return [f"replies/{key}.txt is not UTF-8; save the reply as UTF-8"]
    return []


def _build_body(file: Path, query: Query) -> str:
    """Return a reply as an endpoint would send it: a chat completion."""
    message = {"role": "assistant", "content": file.read_bytes().decode()}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    model = query.provenance["model"]
    body = {"object": "chat.completion", "model": model, "choices": [choice]}
    return json.dumps(body, ensure_ascii=False)
