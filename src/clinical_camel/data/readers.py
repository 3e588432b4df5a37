"""One reader per published schema: it converts a raw row into one of our row shapes.

A reader accepts the schema of the hub and that of the files in data/public. It raises ValueError
for a required field that is missing or mistyped. It never reads fields that leak the answer: `exp`
of MedMCQA often starts with the answer letter, and `long_answer` of PubMedQA is the conclusion that
the question asks for. It returns `None` for a row that the source marks as empty.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from clinical_camel.data.shapes import Article, Consultation, Dialogue, Question, Section, Turn

Raw = dict[str, Any]

# Questions that refer to an image, which no text dataset has; used for rows without a mark of their
# source. On 1,910 rows of MedQA it marks 165, including 160 of the 162 marked by others.
_IMAGE = re.compile(
    r"\b(?:is|are) (?:\w+ )?(?:shown|depicted|pictured|provided below)(?! (?:to|that|by)\b)"
    r"|\bshown (?:below|here|above|in the (?:picture|image|figure|photograph))|\bas shown\b"
    r"|\b(?:the|following) exhibit\b|\bfollowing (?:image|photograph|figure|picture)\b"
    r"|\b(?:image|photograph|figure|picture|graph|exhibit) (?:below|above|shown|[A-F1-9]\b)"
    r"|\bsee (?:the )?(?:image|figure|exhibit|photograph|picture)\b|如图|图示|见图|下图|图中",
    re.IGNORECASE,
)

# Training rows of MTS-Dialog whose dialogue or note is also in its validation set (56, 284) or a
# test set (the others): with them, scores on those sets would partly measure memory.
MTS_OVERLAPS = frozenset(
    f"mts-train-{n}" for n in (56, 210, 241, 284, 318, 901, 926, 989, 1007, 1027, 1069)
)
# Training rows in which only the doctor speaks, one sentence: not a conversation.
MTS_MONOLOGUES = frozenset({"mts-train-700", "mts-train-1013"})
# The section codes of MTS-Dialog, as its README spells them out.
MTS_HEADINGS = {
    "ALLERGY": "ALLERGIES",
    "ASSESSMENT": "ASSESSMENT",
    "CC": "CHIEF COMPLAINT",
    "DIAGNOSIS": "DIAGNOSIS",
    "DISPOSITION": "DISPOSITION",
    "EDCOURSE": "EMERGENCY DEPARTMENT COURSE",
    "EXAM": "PHYSICAL EXAMINATION",
    "FAM/SOCHX": "FAMILY AND SOCIAL HISTORY",
    "GENHX": "HISTORY OF PRESENT ILLNESS",
    "GYNHX": "GYNECOLOGIC HISTORY",
    "IMAGING": "IMAGING",
    "IMMUNIZATIONS": "IMMUNIZATIONS",
    "LABS": "LABORATORY RESULTS",
    "MEDICATIONS": "MEDICATIONS",
    "OTHER_HISTORY": "OTHER HISTORY",
    "PASTMEDICALHX": "PAST MEDICAL HISTORY",
    "PASTSURGICAL": "PAST SURGICAL HISTORY",
    "PLAN": "PLAN",
    "PROCEDURES": "PROCEDURES",
    "ROS": "REVIEW OF SYSTEMS",
}
SHAREGPT_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "system": "system"}


def read_medqa(row: Raw) -> Question:
    """MedQA: the answer letter is `answer_idx` on the hub (GBaker) and `answer` in a file."""
    letter = _text(row, "answer_idx" if "answer_idx" in row else "answer")
    return _lettered(row, letter, subset=row.get("meta_info") or "")


def read_medmcqa(row: Raw) -> Question:
    """MedMCQA: hub (opa .. opd; `cop` counts from 0, -1 if hidden) or a file; never `exp`."""
    subset = row.get("subject_name") or ""
    if "opa" not in row:
        return _lettered(row, _text(row, "answer"), subset=subset)
    options = [_text(row, name) for name in ("opa", "opb", "opc", "opd")]
    return _question(row, options, _number(row, "cop"), subset=subset)


def read_mmlu(row: Raw) -> Question:
    """MMLU: hub cais/mmlu (`choices`, `answer` as an index) or a file; `subset` is the subject."""
    subject = _text(row, "subject")
    if "choices" not in row:
        return _lettered(row, _text(row, "answer"), subset=subject)
    return _question(row, _texts(row, "choices"), _number(row, "answer"), subset=subject)


def read_pubmedqa(row: Raw) -> Question:
    """PubMedQA: `context` is the abstract without its conclusion; never `long_answer`."""
    if "final_decision" not in row:
        return _lettered(row, _text(row, "answer"), context=_text(row, "context"))
    parts = _value(row, "context", dict)
    pairs = zip(_texts(parts, "labels"), _texts(parts, "contexts"), strict=True)
    options = ["yes", "no", "maybe"]
    decision = _text(row, "final_decision")
    if decision not in options:
        raise ValueError(f"final_decision should be yes, no or maybe, is {decision!r}")
    context = "\n".join(f"{label}: {text}" for label, text in pairs)
    row = {**row, "id": str(_number(row, "pubid"))}
    return _question(row, options, options.index(decision), context=context)


def read_pubmedqa_test(row: Raw) -> Question | None:
    """PubMedQA: one of the 500 labelled test rows of its authors, None for the other 500.

    The hub has all 1,000 in one split. pubmedqa_train_ids.txt lists those for training (train and
    dev of the authors' repository).
    """
    question = read_pubmedqa(row)
    return None if question.id in pubmedqa_train_ids() else question


def read_pubmedqa_train(row: Raw) -> Question | None:
    """PubMedQA: one of the other 500 labelled rows, for training or few-shot examples."""
    question = read_pubmedqa(row)
    return question if question.id in pubmedqa_train_ids() else None


@functools.cache
def pubmedqa_train_ids() -> frozenset[str]:
    """Return the ids of the authors' training and validation rows, 500 of the 1,000 labelled."""
    return frozenset(Path(__file__).with_name("pubmedqa_train_ids.txt").read_text().split())


def read_lettered(row: Raw) -> Question:
    """A file with lettered options and an answer letter only (MedQA-MCMLE)."""
    return _lettered(row, _text(row, "answer"))


def read_sharegpt(row: Raw, source: str = "sharegpt") -> Dialogue:
    """A conversation in the ShareGPT format: `conversations` of `from` and `value`."""
    turns = _value(row, "conversations", list)
    messages = []
    for turn in turns:
        if not isinstance(turn, dict):
            raise ValueError("conversations should hold objects")
        speaker = _text(turn, "from")
        if speaker not in SHAREGPT_ROLES:
            raise ValueError(f"from should be human, gpt or system, is {speaker!r}")
        messages.append({"role": SHAREGPT_ROLES[speaker], "content": _text(turn, "value")})
    return Dialogue(id=_text(row, "id"), source=source, messages=messages)


def read_instruction(row: Raw, source: str) -> Dialogue | None:
    """An Alpaca row as one exchange: the instruction is the system message, the input the user's.

    Without an input the instruction is the user message. The chat templates "alpaca" and
    "medalpaca" restore the headings. None for a row without an output.
    """
    names = ("instruction", "input", "output")
    instruction, user, reply = (_text(row, name).strip() for name in names)
    if not reply:
        return None
    system = [("system", instruction)] if instruction and user else []
    turns = [*system, ("user", user or instruction), ("assistant", reply)]
    messages = [{"role": role, "content": text} for role, text in turns]
    return Dialogue(id=_text(row, "id"), source=source, messages=messages)


def read_medquad(row: Raw) -> Article | None:
    """MedQuAD: a question with its answer, as an article of one section; see `join_pages`.

    None for pairs whose answer is withheld for copyright. `group` is the condition, because several
    institutes have a page on the same one. Two pages name no condition and get the end of their
    address as title.
    """
    hub = "document_id" in row
    answer = row.get("answer")
    if hub and not (isinstance(answer, str) and answer.strip()):
        return None
    page = f"{_text(row, 'document_source')}/{_text(row, 'document_id')}" if hub else None
    focus = (row.get("question_focus" if hub else "focus") or "").strip()
    address = _text(row, "document_url" if hub else "url")
    return Article(
        id=page or _text(row, "doc_id"),
        title=focus or PurePosixPath(address).stem.replace("_", " "),
        sections=[Section(heading=_text(row, "question").strip(), text=_text(row, "answer"))],
        licence="CC BY 4.0",
        group=focus.casefold() or page or _text(row, "doc_id"),
    )


def join_pages(articles: list[Article]) -> list[Article]:
    """Merge the articles of one id into one, with all their sections in order."""
    pages: dict[str, list[Article]] = {}
    for article in articles:
        pages.setdefault(article.id, []).append(article)
    return [
        dataclasses.replace(parts[0], sections=[s for part in parts for s in part.sections])
        for parts in pages.values()
    ]


def read_openstax(row: Raw) -> Article:
    """OpenStax Anatomy & Physiology: one module, split at its headings; `group` is the chapter."""
    sections = _split_at_headings(_text(row, "text"), _texts(row, "sections"))
    if row.get("chapter_review"):
        sections.append(Section(heading="Chapter Review", text=_text(row, "chapter_review")))
    return Article(
        id=_text(row, "id"),
        title=_text(row, "title"),
        sections=sections,
        licence="CC BY 3.0",
        group=_text(row, "chapter"),
    )


def _split_at_headings(text: str, headings: list[str]) -> list[Section]:
    """Split the text at the lines that equal the next heading; the first heading has no line."""
    pieces: list[tuple[str, list[str]]] = [(headings[0] if headings else "", [])]
    for line in text.split("\n"):
        if headings[len(pieces) :] and line.strip() == headings[len(pieces)]:
            pieces.append((headings[len(pieces)], []))
        else:
            pieces[-1][1].append(line)
    if len(pieces) < len(headings):
        raise ValueError(f"heading {headings[len(pieces)]!r} is not a line of the text")
    return [Section(heading=head, text="\n".join(lines).strip()) for head, lines in pieces]


def read_plos(row: Raw) -> Article:
    """A PLOS article: the abstract, if any, then its sections."""
    abstract = row.get("abstract")
    sections = [Section(heading="Abstract", text=abstract)] if abstract else []
    for part in _value(row, "sections", list):
        sections.append(Section(heading=_text(part, "heading"), text=_text(part, "text")))
    identifier = _text(row, "id")
    return Article(
        id=identifier,
        title=_text(row, "title"),
        sections=sections,
        licence=_text(row, "licence"),
        group=identifier,
    )


def read_plos_review(row: Raw) -> Article | None:
    """A PLOS article that reviews or gives advice (`kind`); None for research."""
    return read_plos(row) if _text(row, "kind") == "review_like" else None


def read_aci_bench(row: Raw) -> Consultation:
    """ACI-Bench: lines `[doctor] ...`; `group` is the part (virtassist, virtscribe, aci)."""
    return Consultation(
        id=_text(row, "encounter_id" if "encounter_id" in row else "id"),
        turns=_turns(_text(row, "dialogue"), _BRACKETED),
        note=_nonempty(row, "note"),
        group=_text(row, "config" if "config" in row else "dataset"),
    )


def read_mts_dialog(row: Raw) -> Consultation | None:
    """MTS-Dialog: lines `Doctor: ...` and one section of a note, under its written-out heading.

    None for the rows of `MTS_OVERLAPS` and `MTS_MONOLOGUES`. `group` is the dialogue, because a few
    dialogues occur twice.
    """
    identifier, code = _text(row, "id"), _text(row, "section_header")
    if identifier in MTS_OVERLAPS | MTS_MONOLOGUES:
        return None
    if code not in MTS_HEADINGS:
        raise ValueError(f"section_header {code!r} is not one of {', '.join(MTS_HEADINGS)}")
    dialogue = _text(row, "dialogue")
    return Consultation(
        id=identifier,
        turns=_turns(dialogue, _NAMED),
        note=f"{MTS_HEADINGS[code]}:\n{_text(row, 'section_text')}",
        group=_digest(dialogue),
    )


def read_primock57(row: Raw) -> Consultation:
    """PriMock57: as ACI-Bench, without the transcriber's marks for unclear and inaudible speech."""
    identifier = _text(row, "id")
    return Consultation(
        id=identifier,
        turns=_turns(_MARKS.sub("", _text(row, "dialogue")), _BRACKETED),
        note=_nonempty(row, "note"),
        group=identifier,
    )


def read_transcript(row: Raw) -> Consultation:
    """A user's own visit: `id`, `transcript` with lines "Doctor: ...", optionally a `note`.

    Any name of up to three words before a colon is a speaker; a line without one continues the
    turn. Other keys are rejected: a misspelt `note` would silently leave the visit without
    reference.
    """
    unknown = sorted(row.keys() - {"id", "transcript", "note"})
    if unknown:
        raise ValueError(f"field {unknown[0]} is not one of id, transcript, note")
    turns = _turns(_nonempty(row, "transcript"), _SPOKEN, str.strip)
    if all(turn.speaker == "other" for turn in turns):
        raise ValueError('transcript has no line that begins with a speaker, as in "Doctor: ..."')
    note = _text(row, "note") if "note" in row else ""
    return Consultation(id=_text(row, "id"), turns=turns, note=note, group=_text(row, "id"))


_BRACKETED = re.compile(r"\[(?P<speaker>\w+)\]")
# Also matches "Docotr_2:", "Gest_family:" and "Guest_family.", misspellings in MTS-Dialog.
_NAMED = re.compile(
    r'["\s]*(?P<speaker>(?:Do[ct]+o[rt]+|Patient)(?:_\d)?(?=\s*:)|Gu?est_\w+?(?=\s*[:.]))\s*[:.]'
)
_SPOKEN = re.compile(r"\s*(?P<speaker>[^\W\d_][\w.'-]*(?: [\w.'-]+){0,2})\s*:")
_MARKS = re.compile(r"</?UNSURE>|<UNIN/>|<INAUDIBLE_SPEECH/>")


def _turns(
    dialogue: str, pattern: re.Pattern[str], name_speaker: Callable[[str], str] | None = None
) -> list[Turn]:
    """Split a dialogue into turns, one per line; a line without a speaker continues the turn."""
    spoken: list[tuple[str, list[str]]] = []
    for line in dialogue.splitlines():
        match = pattern.match(line)
        if match:
            speaker = (name_speaker or _normalize_speaker)(match["speaker"])
            spoken.append((speaker, [line[match.end() :]]))
        elif spoken:
            spoken[-1][1].append(line)
        else:
            spoken.append(("other", [line]))
    turns = [Turn(speaker=who, text=" ".join(" ".join(lines).split())) for who, lines in spoken]
    return [turn for turn in turns if re.search(r"\w", turn.text)]


def _normalize_speaker(name: str) -> str:
    """Return doctor, patient or other; a patient's guest and a second clinician are other."""
    name = name.lower()
    if name.startswith("do"):
        return "doctor"
    return "patient" if name == "patient" else "other"


def _lettered(row: Raw, letter: str, **more: str) -> Question:
    options = {k: v for k, v in _value(row, "options", dict).items() if v is not None}
    letters = sorted(options)
    if "".join(letters) != "ABCDEFGHIJ"[: len(letters)]:
        raise ValueError(f"options should be named A, B, ..., are {', '.join(options)}")
    if letter not in options:
        raise ValueError(f"answer {letter!r} is not one of the options {', '.join(letters)}")
    texts = [_text(options, name) for name in letters]
    return _question(row, texts, letters.index(letter), **more)


def _question(row: Raw, options: list[str], answer: int, **more: str) -> Question:
    question = _text(row, "question")
    group_text = more.get("context") or "\n".join([question, *sorted(options)])
    return Question(
        id=_text(row, "id"),
        question=question,
        options=options,
        answer=answer,
        group=_digest(group_text),
        image_suspected=row.get("image_suspected", bool(_IMAGE.search(question))) is True,
        **more,
    )


def _digest(text: str) -> str:
    """Hash a text, ignoring case and white space: repeats of a row get the same group."""
    return hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()[:12]


_TYPE_NAMES = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


def _value(row: Raw, name: str, kind: type) -> Any:
    if name not in row:
        raise ValueError(f"field {name} is missing (the row has {', '.join(sorted(row)[:12])})")
    if type(row[name]) is not kind:
        raise ValueError(f"{name} should be {_TYPE_NAMES[kind]}, is {type(row[name]).__name__}")
    return row[name]


def _text(row: Raw, name: str) -> str:
    return _value(row, name, str)


def _nonempty(row: Raw, name: str) -> str:
    if not _text(row, name).strip():
        raise ValueError(f"{name} is empty")
    return row[name]


def _number(row: Raw, name: str) -> int:
    return _value(row, name, int)


def _texts(row: Raw, name: str) -> list[str]:
    values = _value(row, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} should be a list of texts")
    return values
