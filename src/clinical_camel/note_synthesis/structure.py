"""The sections of a note, and outputs that are no notes.

A heading is a line of its own, or the start of a line up to a colon; which words are headings is
known from `DIVISIONS` and from what was asked for, so that "Patient: ..." or "BP: ..." is none.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

OPENING = "History"  # text before the first heading: where a terse note starts with the history
SUBJECTIVE, OBJECTIVE, ASSESSMENT_AND_PLAN = "subjective", "objective", "assessment and plan"
# The headings of ACI-Bench, MTS-Dialog, PriMock57 and SOAP, in the three divisions that all of them
# can be compared in; assessment and plan stand together, as in MEDIQA-Chat 2023, because many notes
# do not part them.
DIVISIONS: dict[str, tuple[str, ...]] = {
    SUBJECTIVE: (
        *("subjective", "s", "history", "cc", "pc", "chief complaint", "presenting complaint"),
        *("hpi", "hpc", "hx", "history of present illness", "history of presenting complaint"),
        *("past history", "past medical history", "medical history", "pmh", "pmhx", "fmh", "fmhx"),
        *("past surgical history", "surgical history", "psh", "family history", "fh", "fhx"),
        *("social history", "sh", "family and social history", "gynecologic history"),
        *("birth history", "other history", "medication", "medications", "current medications"),
        *("dh", "dhx", "drug history", "allergies", "immunizations", "review of systems"),
        *("review of symptoms", "ros", "ice"),
    ),
    OBJECTIVE: (
        *("objective", "o", "physical exam", "physical examination", "exam", "examination", "ex"),
        *("vitals", "vitals reviewed", "vital signs", "results", "labs", "laboratory results"),
        *("imaging", "procedure", "procedures"),
    ),
    ASSESSMENT_AND_PLAN: (
        *("assessment", "a", "assessment and plan", "assessment & plan", "assessment/plan", "a/p"),
        *("plan", "p", "plans", "pln", "impression", "imp", "diagnosis", "ddx", "treatment"),
        *("disposition", "instructions", "orders", "emergency department course"),
        *("safety netting",),
    ),
}
_DIVISION = {name: division for division, names in DIVISIONS.items() for name in names}
_LEAD = (
    r"[\s#*_]*(?:\d{1,2}[.)]\s*)?[*_]*"  # also as Markdown or in a list: "## Plan", "**1. Plan:**"
)
_HEADED = re.compile(_LEAD + r"(?P<name>[^\W\d_][\w /&,'()-]{0,60}?)[*_\s]*:[*_]*(?P<rest>.*)")
_ALONE = re.compile(_LEAD + r"(?P<name>[^\W\d_][\w /&,'()-]{0,60}?)[*_\s]*")


def parse_note(text: str, sections: Sequence[str] = ()) -> dict[str, str]:
    """The sections of a note by heading, in order; text before the first heading under "".

    A heading asked for (`sections`) is named as it was asked for, any other as it is written. A
    section that comes twice is joined.

    >>> parse_note("**Subjective:** Cough.\\nBP: 120/80\\n\\nPLAN\\nRest.", ["Subjective"])
    {'Subjective': 'Cough.\\nBP: 120/80', 'PLAN': 'Rest.'}
    """
    asked = {name.casefold(): name for name in sections}
    found: dict[str, str] = {}
    heading = ""
    for line in text.strip().splitlines():
        name, rest = _heading(line, asked)
        if name:
            heading, line = asked.get(name.casefold(), name), rest
            found.setdefault(heading, "")
        if line.strip() or heading in found:
            found[heading] = f"{found.get(heading, '')}\n{line.strip()}".strip()
    return found


def _heading(line: str, asked: Mapping[str, str]) -> tuple[str, str]:
    """The heading that a line starts with and what stands behind it; "" where there is none."""
    headed = _HEADED.fullmatch(line)
    if headed and _known(headed["name"], asked):
        return headed["name"].strip(), headed["rest"]
    alone = _ALONE.fullmatch(line)
    if alone and _known(alone["name"], asked):
        return alone["name"].strip(), ""
    return "", line


def _known(name: str, asked: Mapping[str, str]) -> bool:
    plain = name.strip().casefold()
    return plain in asked or plain in _DIVISION


def division(heading: str) -> str:
    """Which of `DIVISIONS` a heading belongs to, or "other"; no heading counts as the history.

    >>> division("PHYSICAL EXAM"), division("Imp"), division(""), division("Recipe")
    ('objective', 'assessment and plan', 'subjective', 'other')
    """
    return _DIVISION.get(heading.strip().casefold(), "other") if heading else SUBJECTIVE


def divided(text: str, sections: Sequence[str] = ()) -> dict[str, str]:
    """The text of each division that the note has, without the headings."""
    parts: dict[str, list[str]] = {}
    for heading, body in parse_note(text, sections).items():
        if body.strip():
            parts.setdefault(division(heading), []).append(body)
    return {name: "\n".join(bodies) for name, bodies in parts.items()}


def headings(note: str) -> list[str]:
    """The headings of a reference note, to be asked for; none for a text without any.

    >>> headings("Cough for 3/7.\\nPMH: nil\\nImp: URTI"), headings("Cough.")
    (['History', 'PMH', 'Imp'], [])
    """
    found = list(parse_note(note))
    return [name or OPENING for name in found] if any(found) else []


# ----------------------------------------------------------------------- outputs that are no notes

STATUSES = (
    "ok",
    "unfinished",  # ran into max_new_tokens
    "looping",  # says the same again and again
    "dialogue",  # goes on with the conversation, or copies it
    "no sections",  # none of the sections that were asked for: a reply, a refusal, other prose
    "empty",
    "too long",  # never asked: the transcript leaves no room
)
LOOP_WORDS, LOOP_SHARE = 24, 0.5
_SPEAKER = re.compile(r"\W*(?:doctor|patient|clinician|nurse|user|assistant|other)\W*:", re.I)


def status(note: str | None, ended: bool, sections: Sequence[str]) -> str:
    """Which of STATUSES an output has; None stands for a transcript that was never asked about.

    The broken ones are counted apart. Their scores are kept: they are what the model earned.
    """
    if note is None:
        return "too long"
    if not re.search(r"\w", note):
        return "empty"
    if loops(note):
        return "looping"
    if speaks(note):
        return "dialogue"
    if not set(parse_note(note, sections)) & set(sections):
        return "no sections"
    return "ok" if ended else "unfinished"


def loops(text: str) -> bool:
    """Whether a text of 24 words or more repeats itself: half of its runs of four came before.

    None of the 1,703 reference notes of the three corpora at hand does.

    >>> loops("Take one tablet daily. " * 12), loops("Take one tablet daily.")
    (True, False)
    """
    words = text.split() if " " in text.strip() else list(text)  # Chinese has no spaces
    runs = Counter(zip(*(words[i:] for i in range(4)), strict=False))
    total = sum(runs.values())
    return len(words) >= LOOP_WORDS and total - len(runs) >= LOOP_SHARE * total


def speaks(text: str) -> bool:
    """Whether at least half of the lines begin with a speaker: a dialogue, not a note.

    >>> speaks("Doctor: Good morning.\\nPatient: Hello."), speaks("Plan:\\nRest.")
    (True, False)
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return 2 * sum(bool(_SPEAKER.match(line)) for line in lines) >= max(2, len(lines))
