"""Readers of consultations, one per published schema, and of a user's own transcripts."""

import re

from clinical_camel.data.fields import (
    Raw,
    get_filled_text,
    get_optional_text,
    get_text,
    hash_text,
    reads_fields,
)
from clinical_camel.data.markup import undo_markup
from clinical_camel.data.shapes import Consultation, Turn
from clinical_camel.data.transcripts import join_turns, read_turns

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


@reads_fields("encounter_id dialogue note dataset", unused="metadata")
def read_aci_bench(row: Raw) -> Consultation:
    """ACI-Bench: lines `[doctor] ...`; `group` is the part (virtassist, virtscribe, aci)."""
    return Consultation(
        id=get_text(row, "encounter_id" if "encounter_id" in row else "id"),
        turns=_turns(get_text(row, "dialogue"), _BRACKETED),
        note=get_filled_text(row, "note"),
        group=get_text(row, "config" if "config" in row else "dataset"),
    )


@reads_fields("section_header section_text dialogue")
def read_mts_dialog(row: Raw) -> Consultation | None:
    """MTS-Dialog: lines `Doctor: ...` and one section of a note, under its written-out heading.

    Three lines have a second speaker (rows train-295, train-469, valid-4), who gets a turn, too.
    None for the rows of `MTS_OVERLAPS` and `MTS_MONOLOGUES`. `group` is the dialogue, because a few
    dialogues occur twice.
    """
    identifier, code = get_text(row, "id"), get_text(row, "section_header")
    if identifier in MTS_OVERLAPS | MTS_MONOLOGUES:
        return None
    if code not in MTS_HEADINGS:
        raise ValueError(f"section_header {code!r} is not one of {', '.join(MTS_HEADINGS)}")
    dialogue = get_text(row, "dialogue")
    return Consultation(
        id=identifier,
        turns=_turns(_SECOND_SPEAKER.sub("\n", dialogue), _NAMED),
        note=f"{MTS_HEADINGS[code]}:\n{get_text(row, 'section_text')}",
        group=hash_text(dialogue),
    )


@reads_fields("dialogue note", unused="presenting_complaint highlights utterances")
def read_primock57(row: Raw) -> Consultation:
    """PriMock57: as ACI-Bench, without the transcriber's marks for unclear and inaudible speech."""
    identifier = get_text(row, "id")
    return Consultation(
        id=identifier,
        turns=_turns(_MARKS.sub("", get_text(row, "dialogue")), _BRACKETED),
        note=get_filled_text(row, "note"),
        group=identifier,
    )


@reads_fields("transcript note")
def read_transcript(row: Raw) -> Consultation:
    """A user's own visit: `transcript` (see `transcripts.read_turns`) and optionally a `note`."""
    turns = read_turns(undo_markup(get_filled_text(row, "transcript")))
    note = get_optional_text(row, "note")
    return Consultation(id=get_text(row, "id"), turns=turns, note=note, group=get_text(row, "id"))


_BRACKETED = re.compile(r"\[(?P<speaker>\w+)\]")
# Also matches "Docotr_2:", "Gest_family:" and "Guest_family.", misspellings in MTS-Dialog.
_NAMED = re.compile(
    r'["\s]*(?P<speaker>(?:Do[ct]+o[rt]+|Patient)(?:_\d)?(?=\s*:)|Gu?est_\w+?(?=\s*[:.]))\s*[:.]'
)
_SECOND_SPEAKER = re.compile(r"(?<=[.?!]) +(?=(?:Doctor|Patient): )")
_MARKS = re.compile(r"</?UNSURE>|<UNIN/>|<INAUDIBLE_SPEECH/>")


def _turns(dialogue: str, pattern: re.Pattern[str]) -> list[Turn]:
    """Split a dialogue into turns, one per line; a line without a speaker continues the turn."""
    spoken: list[tuple[str, list[str]]] = []
    for line in dialogue.splitlines():
        match = pattern.match(line)
        if match:
            spoken.append((_normalize_speaker(match["speaker"]), [line[match.end() :]]))
        elif spoken:
            spoken[-1][1].append(line)
        else:
            spoken.append(("other", [line]))
    return join_turns(spoken)


def _normalize_speaker(name: str) -> str:
    """Return doctor, patient or other; a patient's guest and a second clinician are other."""
    name = name.lower()
    if name.startswith("do"):
        return "doctor"
    return "patient" if name == "patient" else "other"
