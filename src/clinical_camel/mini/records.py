"""Diagnosis from a structured record, as text to text: the form of ClinicalGPT's fourth task.

ClinicalGPT (arXiv:2306.09968) trains and tests it on MD-EHR, hospital records that are private.
These records are of the invented patients of `visits`: what a note has before its assessment.
"""

import re

from clinical_camel.data import Consultation, Dialogue
from clinical_camel.mini.material import make_slug

QUESTION = "What is the diagnosis?"
REPLY = "The diagnosis is {condition}."
SEXES = {"man": "male", "woman": "female"}
_NOTE = re.compile(
    r"Subjective:\n(?P<age>\d+)-year-old (?P<sex>man|woman) with (?P<complaint>.+?)\. "
    r"(?P<history>Also .+) Allergies: (?P<allergies>.+)\.\n\n"
    r"Objective:\nTemperature (?P<temperature>[\d.]+), pulse (?P<pulse>\d+)\.\n\n"
    r"Assessment:\n.+\n\nPlan:\n.+"
)


def write_record(visit: Consultation, number: int) -> Dialogue:
    """Return the record of a visit with its diagnosis, in id `<condition>/record-<number>`.

    Raises ValueError for a note that `visits.write_consultation` did not write.
    """
    match = _NOTE.fullmatch(visit.note)
    if not match:
        raise ValueError(f"{visit.id}: its note has another form than those of visits.py")
    values = match.groupdict() | {"sex": SEXES[match["sex"]]}
    lines = [f"{name.capitalize()}: {value}" for name, value in values.items()]
    text = "\n".join([*lines, QUESTION])
    reply = REPLY.format(condition=visit.group)
    return Dialogue(
        id=f"{make_slug(visit.group)}/record-{number}",
        source="mini_records",
        messages=[
            {"role": "user", "content": text},
            {"role": "assistant", "content": reply},
        ],
    )
