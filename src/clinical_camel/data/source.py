"""What a registered dataset is: its shape, its use, and how its files are read."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_camel.data.fields import Raw
from clinical_camel.data.files import RawRows


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Source and allowed use of a registered dataset.

    `role` is train, eval (no model may train on it), or material (articles, consultations). `read`
    converts a raw row; None means that the file is in our own row shape. `join` merges converted
    rows. `number` is the id template of rows without an id, filled with split, config and position.
    `verbatim`: the texts of a published set stay as published; those of other sources are cleaned
    (see `texts`). `citation`: its row in citations.csv, for whoever quotes it (see `attribution`).
    `open_file` reads a file that is no JSON or Parquet, such as a table.
    """

    shape: type
    role: str
    licence: str
    read: Callable[[Raw], Any] | None = None
    join: Callable[[list[Any]], list[Any]] | None = None
    shipped: str = ""
    hub: str = ""
    configs: tuple[str, ...] = ("",)
    splits: tuple[str, ...] = ()
    revision: str = "main"
    number: str = ""
    verbatim: bool = False
    citation: str = ""
    open_file: Callable[[Path], RawRows] | None = None
