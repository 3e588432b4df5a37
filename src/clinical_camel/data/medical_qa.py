"""Readers of cMedQA2 and MedDialog, as their authors distribute them.

cMedQA2 (github.com/zhangsheng93/cMedQA2) is three files: questions, answers, and the candidates of
a split. MedDialog (arXiv:2004.03329) is a JSON array of conversations (processed), or text files
(raw). Neither states a licence that permits passing the texts on: a user downloads them.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clinical_camel.core.companions import QUESTION_FILES
from clinical_camel.core.paths import relative
from clinical_camel.core.values import show
from clinical_camel.data import containers, files
from clinical_camel.data.fields import (
    Raw,
    get_filled_text,
    get_text,
    get_texts,
    get_value,
    reads_fields,
)
from clinical_camel.data.files import RawRows
from clinical_camel.data.json_lines import parse_value
from clinical_camel.data.shapes import DataError, Dialogue, Message
from clinical_camel.data.tables import read_table

PATIENTS, DOCTORS = ("patient", "病人", "患者"), ("doctor", "医生")
_SPEAKER = re.compile(rf"\s*({'|'.join((*PATIENTS, *DOCTORS))})\s*[:：]\s*", re.IGNORECASE)
_HEADING = re.compile(r"^(?:id=\d+|Description|Dialogue|Diagnosis and suggestions)\s*$")


# ------------------------------------------------------------------------------------- cMedQA2


def read_cmedqa2(path: Path, split: str) -> RawRows:
    """Return question_id, ans_id, question and answer of the answers of one split (train, test).

    `path` is the table of answers; the table of questions and `<split>_candidates.txt` must be next
    to it. Without the candidates the questions of the test split would be trained on.
    """
    questions = dict(_read_texts(_find_neighbour(path, QUESTION_FILES), "question_id"))
    wanted = _read_split(_find_neighbour(path, (f"{split}_candidates.txt",)))
    rows, problems = read_table(path, ("ans_id", "question_id", "content"))
    numbers, raw = [], []
    for number, row in rows:
        if (row["question_id"], row["ans_id"]) not in wanted:
            continue
        if row["question_id"] not in questions:
            problems.append((number, f"question_id {row['question_id']} is not in the questions"))
            continue
        numbers.append(number)
        question, answer = questions[row["question_id"]], row.pop("content")
        raw.append(row | {"id": f"cmedqa2-{row['ans_id']}", "question": question, "answer": answer})
    return RawRows(numbers, raw, problems, "line")


@reads_fields("question answer anwser question_id ans_id answer_id")
def read_cmedqa2_row(row: Raw) -> Dialogue:
    """A question of cMedQA2 with one of its answers; `anwser` is a spelling of a copy on the hub.

    The id is `<question>/<answer>`, so the answers to one question form a group.
    """
    answer = get_filled_text(row, "anwser" if row.get("anwser") else "answer")
    number = _read_id(row, "ans_id") or _read_id(row, "answer_id") or _read_id(row, "id")
    if not number:
        raise ValueError("field ans_id is missing; write ans_id, answer_id or id")
    group = _read_id(row, "question_id")
    return Dialogue(
        id=f"{group}/{number}" if group else number,
        source="cmedqa2",
        messages=[
            {"role": "user", "content": get_filled_text(row, "question")},
            {"role": "assistant", "content": answer},
        ],
    )


def _read_id(row: Raw, name: str) -> str:
    """Return an id, a text or a whole number, as text; "" if it is missing or null."""
    value = row.get(name)
    if value is not None and type(value) not in (str, int):
        raise ValueError(f"{name} should be text or a whole number, is {show(value)}")
    return "" if value is None else str(value)


def _find_neighbour(path: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (file := path.with_name(name)).is_file():
            return file
    raise DataError(
        f"{relative(path)}: {' or '.join(names)} is not in its folder; put all files of "
        "github.com/zhangsheng93/cMedQA2, unpacked, into one folder"
    )


def _read_texts(path: Path, key: str) -> Iterator[tuple[str, str]]:
    rows, problems = read_table(path, (key, "content"))
    files.require_no_problems(relative(path), problems)
    return ((row[key], row["content"]) for _, row in rows)


def _read_split(path: Path) -> set[tuple[str, str]]:
    """Return (question, answer) ids of the correct answers of a split.

    The training file has question_id, pos_ans_id, neg_ans_id; the others question_id, ans_id, cnt,
    label (1: correct).
    """
    if path.name.startswith("train"):
        rows, problems = read_table(path, ("question_id", "pos_ans_id", "neg_ans_id"), ("cnt",))
        chosen = {(row["question_id"], row["pos_ans_id"]) for _, row in rows}
    else:
        rows, problems = read_table(path, ("question_id", "ans_id", "label"), ("cnt",))
        wrong = [(number, row["label"]) for number, row in rows if row["label"] not in ("0", "1")]
        problems += [(number, f"label is {show(text)}; write 0 or 1") for number, text in wrong]
        chosen = {(r["question_id"], r["ans_id"]) for _, r in rows if r["label"] == "1"}
    files.require_no_problems(relative(path), problems)
    return chosen


# ----------------------------------------------------------------------------------- MedDialog


def read_meddialog(path: Path) -> RawRows:
    """Return rows with utterances ("patient: ...") of a processed or raw file of MedDialog.

    The processed English file is an array of objects with description and utterances, the Chinese
    one an array of arrays of utterances; a raw file is text with a heading on every part. JSON
    lines with utterances are read, too.
    """
    if path.suffix == ".txt":
        return _parse_raw(path)
    if path.stat().st_size > files.MAX_BYTES:
        raise DataError(f"{relative(path)} has more than {files.MAX_GIB} GiB, the limit; split it")
    content = path.read_bytes().removeprefix(files.UTF8_BOM).strip()
    if not content.startswith(b"["):
        return files.read_rows(path)
    try:
        value = parse_value(content)
    except ValueError as error:
        raise DataError(f"{relative(path)}: {error}") from error
    rows = [{"utterances": row} if isinstance(row, list) else row for row in value]
    return files.number_rows(containers.list_rows(relative(path), rows))


@reads_fields("utterances dialogue_turns", unused="description file_name dialogue_id dialogue_url")
def read_meddialog_row(row: Raw) -> Dialogue | None:
    """A conversation of MedDialog: the patient is the user, the doctor the assistant.

    Turns of one speaker in a row are joined. A doctor's turn before the first of the patient, and a
    last turn of the patient, which nobody answers, are left out; None if nothing is left.
    """
    turns = _list_turns(row)
    messages: list[Message] = []
    for role, text in turns:
        if messages and messages[-1]["role"] == role:
            messages[-1] = {"role": role, "content": f"{messages[-1]['content']}\n{text}"}
        elif messages or role == "user":
            messages.append({"role": role, "content": text})
    if messages and messages[-1]["role"] == "user":
        messages.pop()
    if not messages:
        return None
    return Dialogue(id=get_filled_text(row, "id"), source="meddialog", messages=messages)


def _list_turns(row: Raw) -> list[tuple[str, str]]:
    """Return (role, text) of the turns with text. Raises ValueError for a row of another form."""
    fields = [name for name in ("utterances", "dialogue_turns") if row.get(name) is not None]
    if len(fields) != 1:
        problem = "utterances and dialogue_turns" if fields else "no utterances, no dialogue_turns"
        raise ValueError(
            f"the row has {problem}; write one of them: utterances is a list of texts, "
            "dialogue_turns a list of objects with speaker and utterance"
        )
    if fields == ["utterances"]:
        turns = [_read_utterance(text) for text in get_texts(row, "utterances")]
    else:
        turns = _read_turns(row["dialogue_turns"])
    return [(role, text) for role, text in turns if text]


def _read_utterance(text: str) -> tuple[str, str]:
    match = _SPEAKER.match(text)
    if not match:
        raise ValueError(f"utterance {text[:40]!r} should begin with patient: or doctor:")
    return _find_role(match[1]), text[match.end() :].strip()


def _read_turns(turns: Any) -> list[tuple[str, str]]:
    """Return role and text of a list of objects, or of one object of lists.

    `datasets` stores a list of objects as one object with a list for each of their fields.
    """
    if isinstance(turns, dict):
        with _locating("dialogue_turns"):
            speakers, texts = (get_value(turns, name, list) for name in ("speaker", "utterance"))
            if len(speakers) != len(texts):
                counts = f"{len(speakers)} in speaker and {len(texts)} in utterance"
                raise ValueError(f"{counts}; each turn needs one of both")
        pairs = zip(speakers, texts, strict=True)
        turns = [{"speaker": speaker, "utterance": text} for speaker, text in pairs]
    if not isinstance(turns, list):
        remedy = "write a list of objects with speaker and utterance"
        raise ValueError(f"dialogue_turns should be a list, is {show(turns)}; {remedy}")
    read = []
    for i, turn in enumerate(turns):
        with _locating(f"dialogue_turns[{i}]"):
            if not isinstance(turn, dict):
                raise ValueError(f"{show(turn)} is no object with speaker and utterance")
            role = _find_role(turn.get("speaker"))
            read.append((role, get_text(turn, "utterance").strip()))
    return read


@contextlib.contextmanager
def _locating(place: str) -> Iterator[None]:
    """Begin the message of a ValueError with its place in the row."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _find_role(speaker: Any) -> str:
    """Return the role of a speaker, who may be a number: 0 for the patient, 1 for the doctor."""
    if type(speaker) is int and speaker in (0, 1):
        return ("user", "assistant")[speaker]
    name = speaker.strip().lower() if isinstance(speaker, str) else ""
    if name not in (*PATIENTS, *DOCTORS):
        choices = ", ".join((*PATIENTS, *DOCTORS, "0 (patient)", "1 (doctor)"))
        raise ValueError(f"speaker {show(speaker)} is not one of {choices}")
    return "user" if name in PATIENTS else "assistant"


def _parse_raw(path: Path) -> RawRows:
    """Return the conversations of a raw file: parts `id=...`, `Description`, `Dialogue`, ...

    In the part `Dialogue`, a line `Patient:` or `Doctor:` begins a turn. The number of a row is
    that of its line `id=...`. A conversation without the part `Dialogue` is a problem, and so are
    two such parts of one, and this part above all lines `id=...`.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{relative(path)} is not UTF-8 (byte {error.start})") from error
    rows: dict[int, Raw] = {}
    row: Raw = {}  # of no conversation until the first id
    problems = []
    part = ""
    for number, line in enumerate(map(str.strip, lines), 1):
        if _HEADING.match(line):
            part = line
            if part.startswith("id="):
                row = rows[number] = {"id": f"{path.stem}-{part[3:]}"}
            elif part == "Dialogue":
                if row.get("utterances"):
                    problems.append((number, "a second line Dialogue; write a line id= above it"))
                row["utterances"] = []
                if not rows:
                    problems.append((number, "Dialogue has no line id= above it; write id=1"))
        elif part == "Dialogue" and line:
            if _SPEAKER.match(line) or not row["utterances"]:
                row["utterances"].append(line)
            else:
                row["utterances"][-1] += f"\n{line}"
    if not rows:
        raise DataError(
            f"{relative(path)}: no line id= with a number; is it a raw file of MedDialog?"
        )
    complete = {number: row for number, row in rows.items() if "utterances" in row}
    missing = "no line Dialogue below it; write one above the first turn"
    problems += [(number, missing) for number in rows if number not in complete]
    return RawRows([*complete], [*complete.values()], problems, "line")
