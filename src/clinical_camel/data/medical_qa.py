"""Readers of cMedQA2 and MedDialog, as their authors distribute them.

cMedQA2 (github.com/zhangsheng93/cMedQA2) is three files: questions, answers, and the candidates of
a split. MedDialog (arXiv:2004.03329) is a JSON array of conversations (processed), or text files
(raw). Neither states a licence that permits passing the texts on: a user downloads them.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clinical_camel.core.companions import QUESTION_FILES
from clinical_camel.core.paths import relative
from clinical_camel.data import containers, files
from clinical_camel.data.fields import (
    Raw,
    get_filled_text,
    get_texts,
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
    number = row.get("ans_id") or row.get("answer_id") or row.get("id")
    group = row.get("question_id")
    return Dialogue(
        id=f"{group}/{number}" if group else str(number),
        source="cmedqa2",
        messages=[
            {"role": "user", "content": get_filled_text(row, "question")},
            {"role": "assistant", "content": answer},
        ],
    )


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
        return files.number_rows(list(_parse_raw(path)))
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
    """Return (role, text) of the turns with text."""
    if "utterances" in row:
        texts = get_texts(row, "utterances")
    else:
        turns: Any = row.get("dialogue_turns") or []
        if isinstance(turns, dict):  # a sequence of objects, as `datasets` stores it
            pairs = zip(turns["speaker"], turns["utterance"], strict=True)
            turns = [{"speaker": speaker, "utterance": text} for speaker, text in pairs]
        texts = [f"{_name_speaker(turn.get('speaker'))}: {turn.get('utterance')}" for turn in turns]
    spoken_turns = []
    for text in texts:
        match = _SPEAKER.match(text)
        if not match:
            raise ValueError(f"utterance {text[:40]!r} should begin with patient: or doctor:")
        role = "user" if match[1].lower() in PATIENTS else "assistant"
        if spoken := text[match.end() :].strip():
            spoken_turns.append((role, spoken))
    return spoken_turns


def _name_speaker(speaker: Any) -> str:
    """Return the name of a speaker, who may be a number: 0 for the patient, 1 for the doctor."""
    return ("patient", "doctor")[speaker] if speaker in (0, 1) else str(speaker)


def _parse_raw(path: Path) -> Iterator[Raw]:
    """Yield the conversations of a raw file: parts `id=...`, `Description`, `Dialogue`, ...

    In the part `Dialogue`, a line `Patient:` or `Doctor:` begins a turn.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{relative(path)} is not UTF-8 (byte {error.start})") from error
    if not any(line.startswith("id=") for line in lines):
        raise DataError(f"{relative(path)}: no line id=...; is it a raw file of MedDialog?")
    row: Raw = {}
    part = ""
    for line in lines:
        if _HEADING.match(line.strip()):
            part = line.strip()
            if part.startswith("id="):
                if row:
                    yield row
                row = {"id": f"{path.stem}-{part[3:]}", "utterances": []}
        elif part == "Dialogue" and line.strip():
            if _SPEAKER.match(line) or not row["utterances"]:
                row["utterances"].append(line.strip())
            else:
                row["utterances"][-1] += f"\n{line.strip()}"
    yield row
