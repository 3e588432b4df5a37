"""Load the rows of a dataset spec, and check what the spec may be used for."""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.core.companions import list_companions
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import relative, root
from clinical_camel.data import files, registry
from clinical_camel.data.answers import check_index_base
from clinical_camel.data.converting import choose_reader
from clinical_camel.data.fields import find_unknown
from clinical_camel.data.sampling import sample, sample_share, select_lowest_hashes
from clinical_camel.data.shapes import (
    Article,
    Consultation,
    DataError,
    Dialogue,
    Question,
    Row,
    RowT,
    TrainingText,
)
from clinical_camel.data.texts import count_oddities

SUFFIXES = (".jsonl", ".json", ".parquet")  # of files that are read, packed with gzip or not
QUICK_BYTES = 4 << 20  # a file up to this size is checked completely before a kernel starts
CACHED_BYTES = 16 << 20  # a file up to this size is read once per process while it is unchanged
HELD_OUT = ("test", "valid")  # prefixes of the splits that no model may train on
SHAPES = {s.__name__: s for s in (Article, Consultation, Dialogue, Question, TrainingText)}


@dataclass(frozen=True, slots=True)
class _Spec:
    """A parsed spec: registered name, its source, path; each may be absent."""

    name: str
    source: registry.Source | None
    path: str


def list_datasets(shape: type | None = None, role: str = "") -> list[str]:
    """Return the registered names, of one row shape and role (train, eval, material) if given."""
    return [
        name
        for name, source in registry.SOURCES.items()
        if issubclass(source.shape, shape or object) and role in ("", source.role)
    ]


def label(spec: str) -> str:
    """Return the short name of a spec for tables: its registered name, or the stem of its file.

    >>> label("medqa_us@data/public/medqa_us/medqa_us_dev.jsonl"), label("my/questions.jsonl.gz")
    ('medqa_us', 'questions')
    """
    parsed = _parse(spec)
    return parsed.name or _stem(parsed.path)


def _stem(path: str) -> str:
    name = Path(path).name.removesuffix(".gz")
    return next((name.removesuffix(end) for end in SUFFIXES if name.endswith(end)), name)


def load_articles(spec: str, limit: int = 0) -> list[Article]:
    """Load the articles of a spec: `limit` of them (see `sample`), or all for 0."""
    return sample(_load(spec, Article, for_training=True), limit)


def load_dialogues(spec: str) -> list[Dialogue]:
    """Load the training dialogues of a spec."""
    return _load(spec, Dialogue, for_training=True)


def load_training_rows(spec: str, share: float = 1.0, seed: int = 0) -> list[Dialogue | Article]:
    """Load one part of a training mixture, `share` times (see `sample_share`).

    The rows are dialogues, articles as plain text, or both.
    """
    return sample_share(_load(spec, TrainingText, for_training=True), share, seed)


def load_sources(spec: str) -> list[Row]:
    """Load what a model may have been trained on: articles, dialogues or questions.

    The registered name determines which; a file in our own row shape holds no questions.
    """
    source = _parse(spec).source
    return _load(spec, source.shape if source else TrainingText, for_training=True)


def load_training_questions(spec: str, limit: int = 0, skip: int = 0) -> list[Question]:
    """Load questions for training or few-shot examples, never from an evaluation set.

    `skip` removes the rows that `limit` would select: examples (`limit=5`) and training rows
    (`skip=5`) of one spec never overlap.
    """
    rows = _load(spec, Question, for_training=True)
    if not 0 <= skip <= len(rows):
        raise DataError(f"{spec}: skip {skip} is not allowed; write 0 to {len(rows)}, its rows")
    skipped = {row.id for row in select_lowest_hashes(rows, skip)}
    return sample([row for row in rows if row.id not in skipped], limit)


def load_questions(spec: str, limit: int = 0, image_questions: str = "in") -> list[Question]:
    """Load the evaluation questions of a spec: `limit` of them (see `sample`), or all for 0.

    `image_questions="out"` first removes questions that seem to refer to an image.
    """
    rows = _load(spec, Question, for_training=False)
    if image_questions == "out":
        rows = [row for row in rows if not row.image_suspected]
    if not rows:
        raise DataError(
            f"{spec}: every question seems to refer to an image; write image_questions: in"
        )
    return sample(rows, limit)


def load_consultations(spec: str, limit: int = 0) -> list[Consultation]:
    """Load the consultations of a spec: `limit` of them (see `sample`), or all for 0."""
    return sample(_load(spec, Consultation, for_training=False), limit)


def load_conversations(spec: str, limit: int = 0) -> list[Dialogue | Consultation]:
    """Load conversations whose replies models write anew; a file in our own shape has dialogues."""
    source = _parse(spec).source
    return sample(_load(spec, source.shape if source else Dialogue, for_training=False), limit)


def load_training_consultations(spec: str) -> list[Consultation]:
    """Load consultations for a one-shot example: none of a held-out split.

    If rows name their split, it must be train; the rows of PriMock57 say "all", so it has none.
    """
    return _load(spec, Consultation, for_training=True)


def check_spec(spec: str, shapes: Sequence[str], for_training: bool) -> list[str]:
    """Return why a spec cannot be read as one of these row shapes; [] if a quick check passes.

    For params files: the check covers the name, its allowed use, and a file: completely up to
    QUICK_BYTES, else its first row. A file under data/ may be missing: it is downloaded. One under
    outputs/ is not opened: a step of a study writes it, and may write it anew. A file in our own
    row shape is read as the first of `shapes`.
    """
    try:
        parsed = _parse(spec)
        source = parsed.source
        accepted = [SHAPES[name] for name in shapes]
        of_source = source and issubclass(source.shape, tuple(accepted))
        shape = source.shape if of_source else accepted[0]
        _require_allowed_use(spec, source, shape, for_training)
        if not parsed.path:
            if not source.shipped:
                registry.require_on_hub(parsed.name)
        elif not parsed.path.startswith("outputs/"):
            _check_file(spec, parsed, shape, for_training)
    except DataError as error:
        return [" ".join(str(error).split())]
    return []


def _check_file(spec: str, parsed: _Spec, shape: type, for_training: bool) -> None:
    """Raise DataError if the file of a spec, or the first row of a large one, cannot be used."""
    if parsed.path.startswith("data/") and not (root() / parsed.path).exists():
        return
    path = files.locate_file(parsed.path)
    is_table = parsed.source and parsed.source.open_file
    if (path.stat().st_size if is_table else files.require_size(path)) <= QUICK_BYTES:
        _read(spec, parsed, shape, for_training)
    elif is_table:
        return
    elif raw := files.read_first_row(path):
        _, problems, _ = _convert(parsed, shape, files.RawRows([1], [raw], []))
        files.require_no_problems(spec, problems)


def describe(spec: str) -> dict[str, Any]:
    """Return where the rows of a spec come from, as plain texts for the run record.

    `rows_from` is shipped, hub or file. `revision` is the requested revision and `commit` its
    current commit on the hub, "" if the hub is unreachable. `pinned`: the revision is a commit.
    `companions`: sha256 by path of files that are read with the named one, if there are any.
    """
    parsed = _parse(spec)
    source = parsed.source
    facts = {"spec": spec, "label": label(spec), "licence": source.licence if source else ""}
    if parsed.path or source.shipped:
        facts["rows_from"] = "file" if parsed.path else "shipped"
        file, *others = _list_files(parsed)
        hashes = {relative(other): hash_file(other) for other in others}
        facts |= {"companions": hashes} if others else {}
        return facts | {"path": parsed.path or source.shipped, "sha256": hash_file(file)}
    source = registry.require_on_hub(parsed.name)
    return facts | {
        "rows_from": "hub",
        "hub": source.hub,
        "configs": ", ".join(filter(None, source.configs)),
        "splits": ", ".join(source.splits),
        "revision": source.revision,
        "pinned": source.revision != "main",
        "commit": registry.resolve_revision(source),
    }


def _parse(spec: str) -> _Spec:
    name, at, path = spec.partition("@")
    if at and path:
        return _Spec(name, registry.find_source(name), path)
    if "/" in spec or "." in spec:
        return _Spec("", None, spec)
    return _Spec(spec, registry.find_source(spec), "")


def _list_files(parsed: _Spec) -> list[Path]:
    """Return the file of a spec, then those that are read with it."""
    file = parsed.path and files.locate_file(parsed.path)
    file = file or registry.locate_shipped_file(parsed.source)
    return [file, *list_companions(file, parsed.name)]


def _load(spec: str, shape: type[RowT], for_training: bool) -> list[RowT]:
    """Return the checked rows of a spec; `for_training` rejects what is for evaluation only."""
    parsed = _parse(spec)
    _require_allowed_use(spec, parsed.source, shape, for_training)
    shape = parsed.source.shape if parsed.source else shape
    rows, remarks = _read(spec, parsed, shape, for_training)
    for remark in remarks:
        warnings.warn(f"{spec}: {remark}", stacklevel=3)
    return rows


def _read(
    spec: str, parsed: _Spec, shape: type[RowT], for_training: bool
) -> tuple[list[RowT], list[str]]:
    """Return the rows of a spec, and remarks on what was dropped.

    A file up to CACHED_BYTES is read once while it is unchanged: several steps name it.
    """
    if parsed.path or parsed.source.shipped:
        paths = _list_files(parsed)
        if paths[0].stat().st_size <= CACHED_BYTES:
            version = tuple((str(path), *files.read_version(path)) for path in paths)
            rows, remarks = _read_version(spec, parsed, shape, for_training, version)
            return [*rows], [*remarks]
    return _read_now(spec, parsed, shape, for_training)


@functools.lru_cache(maxsize=32)
def _read_version(
    spec: str, parsed: _Spec, shape: type[RowT], for_training: bool, version: tuple[Any, ...]
) -> tuple[list[RowT], list[str]]:
    """Return `_read_now` of files in this `version`: path, size and times of change of each."""
    return _read_now(spec, parsed, shape, for_training)


def _read_now(
    spec: str, parsed: _Spec, shape: type[RowT], for_training: bool
) -> tuple[list[RowT], list[str]]:
    from_hub = not parsed.path and not parsed.source.shipped
    if from_hub:
        raw = files.number_rows(registry.download_rows(parsed.name))
    else:
        path = _list_files(parsed)[0]
        read = (parsed.source and parsed.source.open_file) or files.read_rows
        raw = read(path)
        if for_training:
            _require_no_shipped_exam(spec, path)
    if for_training:
        _require_no_held_out_rows(spec, raw.rows, shape)
    if shape is Question and (problem := check_index_base(raw.rows)):
        raise DataError(f"{spec}: {problem}")
    rows, problems, remarks = _convert(parsed, shape, raw, from_hub)
    may_drop = from_hub and for_training
    valid, more = _require_valid_rows(spec, rows, problems, may_drop, raw.unit)
    is_verbatim = parsed.source and parsed.source.verbatim
    return valid, [*remarks, *more, *(_describe_oddities(valid) if is_verbatim else ())]


def _convert(
    parsed: _Spec, shape: type, raw: files.RawRows, from_hub: bool = False
) -> tuple[list[tuple[int, Any]], list[tuple[int, str]], list[str]]:
    """Return (number, row) of the good rows, (number, problem) of all others, and remarks."""
    source = parsed.source
    remarks = _remark_unknown_fields(source, raw.rows) if from_hub else []
    stem = parsed.name if from_hub else _stem(parsed.path)
    read = choose_reader(source, shape, from_hub)
    numbered = registry.number_rows(None if from_hub else source, stem, raw.rows)
    converted, bad_rows = files.convert_items(numbered, read)
    bad = {i for i, _ in bad_rows}
    numbers = [number for i, number in enumerate(raw.numbers, 1) if i not in bad]
    problems = raw.problems + [(raw.numbers[i - 1], text) for i, text in bad_rows]
    rows = [pair for pair in zip(numbers, converted, strict=True) if pair[1] is not None]
    if shape is Dialogue and len(rows) < len(converted):
        remarks.append(f"{len(converted) - len(rows)} rows without a reply are left out")
    if source and source.join:
        rows = list(enumerate(source.join([row for _, row in rows]), 1))
    return rows, problems, remarks


def _remark_unknown_fields(source: registry.Source, rows: list[dict[str, Any]]) -> list[str]:
    """Return a remark on fields of the hub that our reader does not know."""
    unknown = sorted({name for row in rows for name in find_unknown(row, source.read)})
    return [f"fields of the hub that are not read: {', '.join(unknown)}"] if unknown else []


def _describe_oddities(rows: list[Any]) -> list[str]:
    """Return one remark on what stays in the texts of a published set; [] if there is nothing."""
    counts = [f"{len(ids)} {kind} (first: {ids[0]})" for kind, ids in count_oddities(rows).items()]
    if not counts:
        return []
    return [f"texts of a published set are not changed; of {len(rows)} rows: {'; '.join(counts)}"]


def _check_ids(rows: list[tuple[int, Any]], unit: str) -> list[tuple[int, str]]:
    """Return (number, problem) for every row whose id occurred before."""
    first: dict[str, int] = {}
    return [
        (number, f"id {row.id!r} is also that of {unit} {first[row.id]}")
        for number, row in rows
        if first.setdefault(row.id, number) != number
    ]


def _require_valid_rows(
    spec: str,
    rows: list[tuple[int, Any]],
    problems: list[tuple[int, str]],
    may_drop: bool,
    unit: str,
) -> tuple[list[Any], list[str]]:
    """Return all rows or raise DataError; with `may_drop`, drop bad rows and remark on them.

    Only training rows of the hub may be dropped: a user can correct a file, but not 100,000 rows of
    another's dataset. An evaluation set is never shortened: its size is part of the result.
    """
    repeated = _check_ids(rows, unit)
    problems = sorted(problems + repeated)
    repeated_numbers = {number for number, _ in repeated}
    valid = [row for number, row in rows if number not in repeated_numbers]
    if not may_drop or not valid:
        files.require_no_problems(spec, problems, unit)
    if not valid:
        raise DataError(f"{spec} has no usable row")
    if not problems:
        return valid, []
    number, text = problems[0]
    return valid, [
        f"{len(problems)} rows of the hub are unusable and dropped, {len(valid)} remain; the first "
        f"is row {number}: {text}"
    ]


def _require_allowed_use(
    spec: str, source: registry.Source | None, shape: type, for_training: bool
) -> None:
    if source is None:
        return
    names = list_datasets(shape)
    valid = ", ".join(n for n in names if not for_training or registry.SOURCES[n].role != "eval")
    if not issubclass(source.shape, shape):
        raise DataError(
            f"{spec} holds {source.shape.__name__} rows, not {shape.__name__} rows. Choose one of "
            f"{valid}, or a file."
        )
    if for_training and source.role == "eval":
        raise DataError(
            f"{spec} is an evaluation set: no model may train on it. Choose one of {valid}, "
            "or a file of training rows."
        )


def _require_no_shipped_exam(spec: str, path: Path) -> None:
    """Raise DataError if this training file is a shipped evaluation set."""
    digest = hash_file(path)
    for name in list_datasets(role="eval"):
        source = registry.SOURCES[name]
        if source.shipped and digest == hash_file(registry.locate_shipped_file(source)):
            raise DataError(f"{spec} is the evaluation set {name}: no model may train on it")


def _require_no_held_out_rows(spec: str, raw: list[dict[str, Any]], shape: type) -> None:
    splits = [row["split"] for row in raw if isinstance(row.get("split"), str)]
    strict = shape is Consultation  # every other split of consultations is evaluated somewhere
    held_out = [s for s in splits if s.startswith(HELD_OUT) or (strict and s != "train")]
    if held_out:
        raise DataError(
            f"{spec}: {len(held_out)} of {len(raw)} rows are of the split "
            f"{', '.join(sorted(set(held_out)))}; no model may train on those."
        )
