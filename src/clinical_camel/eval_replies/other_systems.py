"""Replies of another system to the same cases, from a file."""

from collections.abc import Sequence
from pathlib import Path

from clinical_camel.core.ratings import unescape_cell
from clinical_camel.core.tables import read_table
from clinical_camel.eval_replies.cases import Case

COLUMNS = ("task", "corpus", "id", "reply")


def read_replies(file: Path, cases: Sequence[Case]) -> list[str]:
    """Return one reply per case from a csv file with COLUMNS; other columns do not count.

    `replies.csv` of this step has these columns. A column `model` names the model of each row, and
    the file must have the rows of a single one. A reply that starts with an apostrophe before a
    sign that a spreadsheet would run loses the apostrophe (see `core.ratings`).

    Raises ValueError with file and line: no such file, a missing column, several models, two
    replies to one case, a case without a reply.
    """
    if not file.is_file():
        raise ValueError(f"other_replies: {file}: no such file; run the study that writes it")
    table = read_table(file)
    for name in COLUMNS:
        if name not in table.columns:
            raise ValueError(f"{file.name}: no column {name}; it needs {', '.join(COLUMNS)}")
    systems = sorted({row["model"] for row in table.rows if "model" in row})
    if len(systems) > 1:
        raise ValueError(
            f"{file.name}: replies of {', '.join(systems)}; save those of one model as a file"
        )
    replies: dict[tuple[str, ...], str] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        key = tuple(row[name] for name in COLUMNS[:3])
        if key in replies:
            raise ValueError(f"{file.name}: line {line}: a second reply to {' '.join(key)}")
        replies[key] = unescape_cell(row["reply"])
    keys = [(case.task, case.corpus, case.id) for case in cases]
    if missing := [" ".join(key) for key in keys if key not in replies]:
        raise ValueError(
            f"{file.name}: no reply to {len(missing)} of {len(keys)} cases, first {missing[0]}; "
            "an empty reply is a line with an empty cell"
        )
    return [replies[key] for key in keys]
