"""The sections of a note, and the status of an output.

A note is plain text: each section starts with its heading on its own line, followed by a colon. In
model outputs a heading is its own line, or the start of a line up to a colon. Only the words in
`DIVISIONS` and the requested headings count as headings, so "Patient: ..." and "BP: ..." do not.
"""

import re
from collections.abc import Mapping, Sequence

from clinical_camel import grounding
from clinical_camel.note_synthesis.word_lists import read_groups

OPENING = "History"  # heading of the text before the first one: terse notes start with the history
SUBJECTIVE, ASSESSMENT_AND_PLAN = "subjective", "assessment and plan"
# The headings of ACI-Bench, MTS-Dialog, PriMock57 and SOAP. Many notes do not separate assessment
# and plan: one division, as in MEDIQA-Chat 2023.
DIVISIONS = read_groups("headings.csv")
_DIVISION_OF = {name: division for division, names in DIVISIONS.items() for name in names}
# also as Markdown or in a list: "## Plan", "**1. Plan:**"
_HEADING = r"[\s#*_]*+(?:\d{1,2}[.)]\s*)?[*_]*+(?P<name>[^\W\d_][\w /&,'()-]{0,60}?)[*_\s]*+"
_WITH_COLON = re.compile(_HEADING + r":[*_]*(?P<rest>.*)")
_OWN_LINE = re.compile(_HEADING)


def parse_note(text: str, requested: Sequence[str] = ()) -> dict[str, str]:
    """Return the sections of a note by heading, in order; text before the first heading under "".

    A requested heading is returned as it was requested, any other as it is written. Sections with
    the same heading are joined.

    >>> parse_note("**Subjective:** Cough.\\nBP: 120/80\\n\\nPLAN\\nRest.", ["Subjective"])
    {'Subjective': 'Cough.\\nBP: 120/80', 'PLAN': 'Rest.'}
    """
    names = {name.casefold(): name for name in requested}
    sections: dict[str, str] = {}
    heading = ""
    for line in text.strip().splitlines():
        name, rest = split_heading(line, names)
        if name:
            heading, line = names.get(name.casefold(), name), rest
            sections.setdefault(heading, "")
        if line.strip() or heading in sections:
            sections[heading] = f"{sections.get(heading, '')}\n{line.strip()}".strip()
    return sections


def split_heading(line: str, names: Mapping[str, str]) -> tuple[str, str]:
    """Return the heading at the start of a line and the text after it; ("", line) without one."""
    for pattern in (_WITH_COLON, _OWN_LINE):
        match = pattern.fullmatch(line)
        name = match["name"].strip() if match else ""
        if name.casefold() in names or name.casefold() in _DIVISION_OF:
            return name, match.groupdict().get("rest", "")
    return "", line


def find_division(heading: str) -> str:
    """Return the division of a heading, or "other"; text without a heading counts as history.

    >>> find_division("PHYSICAL EXAM"), find_division("Imp"), find_division("")
    ('objective', 'assessment and plan', 'subjective')
    >>> find_division("Recipe")
    'other'
    """
    return _DIVISION_OF.get(heading.strip().casefold(), "other") if heading else SUBJECTIVE


def split_divisions(text: str, requested: Sequence[str] = ()) -> dict[str, str]:
    """Return the text of each division in the note, without headings."""
    parts: dict[str, list[str]] = {}
    for heading, body in parse_note(text, requested).items():
        if body.strip():
            parts.setdefault(find_division(heading), []).append(body)
    return {name: "\n".join(bodies) for name, bodies in parts.items()}


def list_headings(note: str) -> list[str]:
    """Return the headings of a reference note, to request them; [] for a text without headings.

    >>> list_headings("Cough for 3/7.\\nPMH: nil\\nImp: URTI"), list_headings("Cough.")
    (['History', 'PMH', 'Imp'], [])
    """
    names = list(parse_note(note))
    return [name or OPENING for name in names] if any(names) else []


# --------------------------------------------------------------------------- status of an output

STATUSES = (
    "ok",
    "unfinished",  # stopped at max_new_tokens
    "looping",  # repeats itself
    "dialogue",  # continues or copies the conversation
    "no sections",  # none of the requested sections or divisions: a reply, a refusal, other prose
    "empty",  # no words, or headings only
    "too long",  # no prompt was sent: the transcript does not fit into the context
)
WRITTEN = ("ok", "unfinished")  # a note, if perhaps cut off; every other status is no note
_SPEAKER = re.compile(r"\W*(?:doctor|patient|clinician|nurse|user|assistant|other)\W*:", re.I)


def classify_output(note: str | None, ended: bool, requested: Sequence[str]) -> str:
    """Return one of STATUSES; None as the note means that the transcript was too long to prompt.

    The order decides between two: a loop that fills `max_new_tokens` is "looping", not
    "unfinished". Notes that are not "ok" are counted by status. They keep their scores.
    """
    if note is None:
        return "too long"
    sections = parse_note(note, requested)
    if not re.search(r"\w", " ".join(sections.values())):
        return "empty"
    if grounding.is_looping(note):
        return "looping"
    if is_dialogue(note):
        return "dialogue"
    divisions = {find_division(name) for name in requested} - {"other"}
    if not any(name in requested or find_division(name) in divisions for name in sections if name):
        return "no sections"
    return "ok" if ended else "unfinished"


def is_dialogue(text: str) -> bool:
    """Return whether at least half of the lines begin with a speaker.

    >>> is_dialogue("Doctor: Good morning.\\nPatient: Hello."), is_dialogue("Plan:\\nRest.")
    (True, False)
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return 2 * sum(bool(_SPEAKER.match(line)) for line in lines) >= max(2, len(lines))
