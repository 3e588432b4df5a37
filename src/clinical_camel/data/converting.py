"""A raw row becomes a checked, clean row: by the reader of its dataset, or of our own shape."""

from collections.abc import Callable
from typing import Any

from clinical_camel.data.answers import list_options, read_answer
from clinical_camel.data.fields import require_listed_fields
from clinical_camel.data.shapes import (
    Article,
    DataError,
    Dialogue,
    TrainingText,
    check_row,
    from_dict,
)
from clinical_camel.data.source import Source
from clinical_camel.data.texts import clean_row


def choose_reader(
    source: Source | None, shape: type, from_hub: bool
) -> Callable[[dict[str, Any]], Any]:
    """Return the function that makes a checked, clean row of a raw one, or None of an empty one."""
    own = source is None or source.read is None
    verbatim = source is not None and source.verbatim

    def read(raw: dict[str, Any]) -> Any:
        if not (own or from_hub):
            require_listed_fields(raw, source.read)
        row = _read_own(shape, raw) if own else source.read(raw)
        if row is None or verbatim:
            return _require_usable(row)
        return _require_usable(clean_row(_require_usable(row)))

    return read


def _read_own(shape: type, raw: dict[str, Any]) -> Any:
    """Return a row of our own shape; null counts as missing, an answer may be a letter."""
    row = {name: value for name, value in raw.items() if value is not None}
    if isinstance(options := row.get("options"), dict):
        row["options"] = list_options(options)
    if isinstance(row.get("options"), list) and "answer" in row:
        row["answer"] = read_answer(row["answer"], row["options"])
    if shape is TrainingText:
        shape = Article if "sections" in row else Dialogue
    return from_dict(shape, row)


def _require_usable(row: Any) -> Any:
    if row is not None and (problems := check_row(row)):
        raise DataError("; ".join(problems))
    return row
