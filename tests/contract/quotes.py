"""Committed results quote a handful of public exam questions and consultations, with their authors.

The texts are those in data/public. Without this folder only the authors are checked: an executed
notebook that read texts of others has the table of `data.format_attributions`.
"""

import csv
import functools
import html
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.contract import results
from tests.contract.files import Problems, tracked

from clinical_camel import data

MAX_QUOTED = {"question": 5, "dialogue": 7}  # of one data set, in one file; by its field
LONGEST, SHORTEST = 12, 6  # words in a row by which an item is recognised
Item = tuple[str, str, str]  # file, field and id
Index = Mapping[int, Mapping[tuple[str, ...], Item]]  # by number of words: words, their only item


def check_quotes_are_few(root: Path) -> Problems:
    folder = root / "data/public"
    if not folder.is_dir():
        return
    index = _index_folder(folder.resolve())
    for file in tracked(root):
        if file.is_relative_to(root / "outputs") and file.suffix in READERS:
            quoted = Counter((name, field) for name, field, _ in find_quoted(file, index))
            for (name, field), count in quoted.items():
                if count > MAX_QUOTED[field]:
                    yield (
                        f"{file.relative_to(root)}: {count} items of {name}, more than "
                        f"{MAX_QUOTED[field]}; keep it out of git (.gitignore), or quote fewer"
                    )


def check_quotes_name_their_authors(root: Path) -> Problems:
    for notebook in results.list_notebooks(root):
        name = results.name_of(notebook)
        sources = results.records(root).get(name, {}).get("notes", {}).get("sources", [])
        specs = [source["spec"] for source in sources if "spec" in source]
        text = "\n".join(_read_notebook(notebook))
        for row in data.list_attributions(specs):
            if row["address"].startswith("https://") and row["authors"] not in text:
                yield f"{name}: no attribution of {row['texts']}; display format_attributions"


def find_quoted(file: Path, index: Index) -> set[Item]:
    """Return the public items of which a file has a sequence of words."""
    texts = [_split_words(text) for text in READERS[file.suffix](file)]
    return {
        items[words]
        for length, items in index.items()
        for text in texts
        for words in _list_sequences(text, length)
        if words in items
    }


@functools.cache
def _index_folder(folder: Path) -> Index:
    """Return the word sequences that occur in a single item; of a short item, the whole text."""
    owners: dict[int, dict[tuple[str, ...], Item | None]] = defaultdict(dict)
    for item, text in _list_items(folder):
        words = _split_words(text)
        length = min(LONGEST, len(words))
        for sequence in _list_sequences(words, length) if length >= SHORTEST else ():
            same = owners[length].setdefault(sequence, item)
            if same != item:
                owners[length][sequence] = None
    return {
        length: {words: item for words, item in sequences.items() if item}
        for length, sequences in owners.items()
    }


def _list_items(folder: Path) -> Iterator[tuple[Item, str]]:
    """Yield the questions of exams and the transcripts of consultations."""
    for file in sorted(folder.glob("*/*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            field = "dialogue" if "dialogue" in row else "question" if "options" in row else ""
            if field:
                yield (file.name, field, str(row["id"])), row[field]


def _split_words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _list_sequences(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(length)), strict=False)


# ----------------------------------------------------------------- the texts in a committed file


def _read_notebook(file: Path) -> Iterator[str]:
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            yield "".join(output.get("text", ""))
            for kind, content in output.get("data", {}).items():
                if kind.startswith("text/"):
                    yield html.unescape(re.sub(r"<[^>]*>", " ", "".join(content)))


def _read_table(file: Path) -> Iterator[str]:
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader(io.StringIO(file.read_text(encoding="utf-8")))
    return (cell for row in rows for cell in row if cell.count(" ") >= SHORTEST - 1)


def _read_text(file: Path) -> list[str]:
    return [file.read_text(encoding="utf-8").replace("\\n", "\n")]


READERS = {
    ".ipynb": _read_notebook,
    ".csv": _read_table,
    ".json": _read_text,
    ".jsonl": _read_text,
    ".md": _read_text,
}
