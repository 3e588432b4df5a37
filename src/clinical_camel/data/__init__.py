"""Every dataset of the study, read into one of four row shapes.

    Article       id, title, sections [Section(heading, text)], licence, group
    Dialogue      id, source, messages [{"role": system | user | assistant, "content": text}]
    Question      id, question, options [text], answer (index), context, subset, group,
                  image_suspected
    Consultation  id, turns [Turn(speaker, text)], note ("" for none), group

A dataset is named by one string, its *spec*, the same in every parameter file:

    mini_exam                                     a registered name: shipped with us, or on the hub
    medqa_us@data/public/medqa_us/x.jsonl         the reader of that name on a local file
    my/questions.jsonl                            a local file in our own row shape

Paths start at the root of the repository (or CLINICAL_CAMEL_ROOT). What can be learned from and
what can only be tested on are told apart by name: `load_dialogues` and `load_training_questions`
have no split to choose and refuse an evaluation set, and any row that says it is a test row.

Reading is all or nothing: every problem of a file is listed in one `DataError`, by line.
"""

import csv
import dataclasses
import importlib.resources
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from clinical_camel.data import cleaning, files, readers, registry
from clinical_camel.data.contamination import overlaps, search_sources
from clinical_camel.data.draws import check_share, lowest_hashes, sample, share_of
from clinical_camel.data.files import root
from clinical_camel.data.shapes import (
    IMAGE_QUESTIONS,
    Article,
    Consultation,
    DataError,
    Dialogue,
    Message,
    Question,
    Row,
    RowT,
    Section,
    Turn,
    article_text,
    content_hash,
    from_dict,
    question_text,
    row_problems,
    row_text,
    to_dict,
)

__all__ = [
    "IMAGE_QUESTIONS",
    "Article",
    "Consultation",
    "DataError",
    "Dialogue",
    "Message",
    "Question",
    "Row",
    "Section",
    "Turn",
    "article_text",
    "cleaning_table",
    "content_hash",
    "describe",
    "from_dict",
    "label",
    "load_articles",
    "load_consultations",
    "load_dialogues",
    "load_published",
    "load_questions",
    "load_sources",
    "load_training_consultations",
    "load_training_questions",
    "load_training_rows",
    "names",
    "overlaps",
    "published_systems",
    "question_text",
    "root",
    "row_text",
    "sample",
    "search_sources",
    "spec_problem",
    "to_dict",
]

HELD_OUT = ("test", "valid")  # how the split of a row that must not be learned from begins


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """A spec taken apart: the registered name and source, the path; either may be absent."""

    name: str
    source: registry.Source | None
    path: str


def names(shape: type | None = None, role: str = "") -> list[str]:
    """The registered names, of one row shape and one role (train, eval, material) if given."""
    return [
        name
        for name, source in registry.SOURCES.items()
        if shape in (None, source.shape) and role in ("", source.role)
    ]


def label(spec: str) -> str:
    """The short name of a spec for tables: its registered name, or the stem of its file.

    >>> label("medqa_us@data/public/medqa_us/medqa_us_dev.jsonl"), label("my/questions.jsonl.gz")
    ('medqa_us', 'questions')
    """
    place = _parse(spec)
    return place.name or Path(place.path).name.removesuffix(".gz").removesuffix(".jsonl")


def load_articles(spec: str, limit: int = 0) -> list[Article]:
    """The articles of a spec; `limit` keeps that many (see `sample`), 0 keeps all."""
    return sample(_load(spec, Article, learn=True), limit)


def load_dialogues(spec: str, share: float = 1.0, seed: int = 0) -> list[Dialogue]:
    """The dialogues of a spec to learn from, `share` times over: see `share_of`."""
    check_share(spec, share)
    return share_of(_load(spec, Dialogue, learn=True), share, seed)


def cleaning_table(spec: str) -> pd.DataFrame:
    """What `sharegpt_cleaned` leaves out of a spec, and why: see `cleaning.count`."""
    place = _parse(spec)
    read = place.source and getattr(place.source.read, "func", place.source.read)
    if read not in (readers.read_sharegpt, cleaning.read_clean):
        raise DataError(f"{spec} is no ShareGPT set; give sharegpt_cleaned, or one with @path")
    if place.path:
        return cleaning.count(files.read_jsonl(files.local_path(place.path)))
    if place.source.shipped:
        return cleaning.count(files.read_jsonl(registry.shipped_path(place.source)))
    return cleaning.count(registry.hub_rows(place.name))


def load_training_rows(spec: str, share: float = 1.0, seed: int = 0) -> list[Dialogue | Article]:
    """What a training mixture may hold: dialogues, or articles to be read as plain text.

    A registered name says which it is; a file in our own row shape is taken for dialogues.
    """
    source = _parse(spec).source
    if source is None or source.shape is Dialogue:
        return load_dialogues(spec, share, seed)
    check_share(spec, share)
    return share_of(load_articles(spec), share, seed)


def load_sources(spec: str) -> list[Row]:
    """Whatever a model may have been trained on: articles, dialogues or questions.

    A registered name says which it is; a file in our own row shape is taken for dialogues.
    """
    source = _parse(spec).source
    return _load(spec, source.shape if source else Dialogue, learn=True)


def load_training_questions(spec: str, limit: int = 0, skip: int = 0) -> list[Question]:
    """Questions to learn from or to show as examples, never from an evaluation set.

    `skip` passes over as many rows as `limit` would have taken, so that examples
    (`limit=5`) and training rows (`skip=5`) of one spec never meet.
    """
    rows = _load(spec, Question, learn=True)
    if not 0 <= skip <= len(rows):
        raise DataError(f"{spec}: skip is 0 to {len(rows)} (its rows), is {skip}")
    skipped = {row.id for row in lowest_hashes(rows, skip)}
    return sample([row for row in rows if row.id not in skipped], limit)


def load_questions(spec: str, limit: int = 0, image_questions: str = "in") -> list[Question]:
    """The questions of a spec to be answered; `limit` keeps that many (see `sample`), 0 all.

    `image_questions="out"` first leaves out those that seem to speak of an image.
    """
    if image_questions not in IMAGE_QUESTIONS:
        raise DataError(f"image_questions: {image_questions!r} is not one of in, out")
    rows = _load(spec, Question, learn=False)
    if image_questions == "out":
        rows = [row for row in rows if not row.image_suspected]
    if not rows:
        raise DataError(f"{spec}: every question seems to speak of an image, and those are out")
    return sample(rows, limit)


def load_consultations(spec: str, limit: int = 0) -> list[Consultation]:
    """The consultations of a spec; `limit` keeps that many (see `sample`), 0 keeps all."""
    return sample(_load(spec, Consultation, learn=False), limit)


def load_training_consultations(spec: str) -> list[Consultation]:
    """Consultations that a one-shot example may be taken from: none of a held-out split.

    Where the rows name their split it has to be train: PriMock57, in which all are "all", has none.
    """
    return _load(spec, Consultation, learn=True)


def spec_problem(spec: str, shapes: Sequence[str], learn: bool) -> str:
    """Why a spec cannot be read as one of these row shapes, or "" as far as a glance can tell.

    For the check of a params file: names, what they may be used for, and the first row of a file.
    A file under data/ or outputs/ may be absent: it is fetched, or made by a step that has yet to
    run, and the runner looks for it. A file in our own row shape is taken for the first shape.
    """
    try:
        place = _parse(spec)
        source = place.source
        known = {"Article": Article, "Consultation": Consultation, "Dialogue": Dialogue}
        shape = (known | {"Question": Question})[shapes[0]]
        if source and source.shape.__name__ in shapes:
            shape = source.shape
        _check_use(spec, place, shape, learn)
        if not place.path:
            if not source.shipped:
                registry.on_hub(place.name)
            return ""
        path = root() / place.path
        if path.is_file() or not place.path.startswith(("data/", "outputs/")):
            raw = files.first_row(files.local_path(place.path))
            raw = registry.file_rows(source, [raw])[0] if source else raw
            read = _reader(source, shape)
            _, problems = files.each([raw], lambda row: _checked(1, row, read))
            return f"{spec}: line 1: {problems[0][1]}" if problems else ""
    except DataError as error:
        return " ".join(str(error).split())
    return ""


def describe(spec: str) -> dict[str, Any]:
    """Where the rows of a spec come from, for the record of a run: plain texts, no rows.

    `rows_from` is shipped, hub or file. `revision` is what was asked for, `commit` what that means
    on the hub now (empty where out of reach), `pinned` whether the two are the same by design.
    """
    place = _parse(spec)
    source = place.source
    facts = {"spec": spec, "label": label(spec), "licence": source.licence if source else ""}
    if place.path or (source and source.shipped):
        path = files.local_path(place.path) if place.path else registry.shipped_path(source)
        facts["rows_from"] = "file" if place.path else "shipped"
        return facts | {"path": place.path or source.shipped, "sha256": files.file_sha256(path)}
    source = registry.on_hub(place.name)
    return facts | {
        "rows_from": "hub",
        "hub": source.hub,
        "configs": ", ".join(filter(None, source.configs)),
        "splits": ", ".join(source.splits),
        "revision": source.revision,
        "pinned": source.revision != "main",
        "commit": registry.resolved_revision(source),
    }


def published_systems() -> tuple[str, ...]:
    """The names `system:size` in published.csv, sorted."""
    path = importlib.resources.files("clinical_camel") / "published.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return tuple(sorted({f"{row['system']}:{row['size']}" for row in csv.DictReader(stream)}))


def load_published() -> pd.DataFrame:
    """Every published number: system, size, benchmark, shots, metric, value, n, protocol, ...

    Where both are named, `<system>_<size>` is the study that reproduces the row.
    `benchmark` is the label of our spec where we have that benchmark. `mmlu_<subject>` is the
    part of `mmlu_medical` with that `subset`. `value` is in percent, `n` the public number of
    items (missing where unknown), `status` how far the number could be traced (see the file).
    """
    path = importlib.resources.files("clinical_camel") / "published.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        table = pd.DataFrame(csv.DictReader(stream))
    table["value"] = table["value"].astype(float)
    for name in ("n", "shots"):
        table[name] = pd.to_numeric(table[name]).astype("Int64")
    return table


def _parse(spec: str) -> _Place:
    name, at, path = spec.partition("@")
    if at and path:
        return _Place(name, registry.find(name), path)
    if "/" in spec or spec.endswith((".jsonl", ".jsonl.gz")):
        return _Place("", None, spec)
    return _Place(spec, registry.find(spec), "")


def _load(spec: str, shape: type[RowT], learn: bool) -> list[RowT]:
    """The checked rows of a spec; `learn` refuses what must only be tested on."""
    place = _parse(spec)
    _check_use(spec, place, shape, learn)
    on_hub = not place.path and not place.source.shipped
    torn: list[tuple[int, str]] = []  # lines that are no JSON object
    if on_hub:
        raw = registry.hub_rows(place.name)
        numbers = range(1, len(raw) + 1)
    else:
        path = files.local_path(place.path) if place.path else registry.shipped_path(place.source)
        numbers, raw, torn = files.parse_jsonl(path)
        raw = registry.file_rows(place.source, raw) if place.source else raw
        if learn:
            _refuse_shipped_exam(spec, path)
    if learn:
        _refuse_held_out(spec, raw, shape)
    read = _reader(place.source, shape)
    made, misfits = files.each(list(zip(numbers, raw, strict=True)), lambda p: _checked(*p, read))
    problems = torn + [(numbers[i - 1], text) for i, text in misfits]
    rows = [(number, row) for number, row in made if row is not None]
    if place.source and place.source.join:
        rows = list(enumerate(place.source.join([row for _, row in rows]), 1))
    return _settle(spec, rows, problems, forgive=on_hub and learn)


def _reader(source: registry.Source | None, shape: type) -> Callable[[dict[str, Any]], Any]:
    return (source and source.read) or (lambda row: from_dict(shape, row))


def _checked(number: int, raw: dict[str, Any], read: Any) -> tuple[int, Any]:
    row = read(raw)
    problems = row_problems(row) if row is not None else []
    if problems:
        raise DataError("; ".join(problems))
    return number, row


def _repeated_ids(rows: list[tuple[int, Any]]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    return [
        (number, f"id {row.id!r} is also that of line {first[row.id]}")
        for number, row in rows
        if first.setdefault(row.id, number) != number
    ]


def _settle(
    spec: str, rows: list[tuple[int, Any]], problems: list[tuple[int, str]], forgive: bool
) -> list[Any]:
    """All rows, or a DataError. Only training rows of the hub may be left out, and that is said.

    A user can mend a file but not a dataset of others with 100,000 rows; an evaluation set is
    never shortened, because its number of rows is part of the result.
    """
    repeated = _repeated_ids(rows)
    problems = sorted(problems + repeated)
    again = {number for number, _ in repeated}
    kept = [row for number, row in rows if number not in again]
    if not forgive or not kept:
        files.refuse(spec, problems)
    if not kept:
        raise DataError(f"{spec} has no row that can be used")
    if problems:
        number, text = problems[0]
        warnings.warn(
            f"{spec}: {len(problems)} rows of the hub cannot be used and are left out, {len(kept)} "
            f"are kept; the first is row {number}: {text}",
            stacklevel=4,
        )
    return kept


def _check_use(spec: str, place: _Place, shape: type, learn: bool) -> None:
    source = place.source
    if source is None:
        return
    role = "train" if shape in (Question, Dialogue) and learn else ""
    valid = ", ".join(names(shape, role))
    if source.shape is not shape:
        raise DataError(
            f"{spec} holds {source.shape.__name__} rows, not {shape.__name__} rows. Choose one of "
            f"{valid}, or a file."
        )
    if learn and source.role == "eval":
        raise DataError(
            f"{spec} is an evaluation set: nothing may be learned from it. Choose one of {valid}, "
            "or a file of training rows."
        )


def _refuse_shipped_exam(spec: str, path: Path) -> None:
    """Refuse to learn from a shipped evaluation set that is given as a file."""
    digest = files.file_sha256(path)
    for name in names(role="eval"):
        source = registry.SOURCES[name]
        if source.shipped and digest == files.file_sha256(registry.shipped_path(source)):
            raise DataError(f"{spec} is the evaluation set {name}: nothing may be learned from it")


def _refuse_held_out(spec: str, raw: list[dict[str, Any]], shape: type) -> None:
    splits = [row["split"] for row in raw if isinstance(row.get("split"), str)]
    strict = shape is Consultation  # all of them are scored somewhere, unless they say train
    held_out = [s for s in splits if s.startswith(HELD_OUT) or (strict and s != "train")]
    if held_out:
        raise DataError(
            f"{spec}: {len(held_out)} of {len(raw)} rows say that their split is "
            f"{', '.join(sorted(set(held_out)))}; nothing may be learned from those."
        )
