"""The exercise: one error is planted in a reference note. Who finds it, the reader or the check?"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.prompts import said

Edit = Callable[[str, Consultation, random.Random], str]  # "" where it has no place
SYMPTOMS = ("palpitations", "night sweats", "nausea", "ankle swelling", "a dry cough", "itching")
DOSE = r"(?<![\w.])\d+(?:\.\d+)?(?= ?(?:mg|mcg|milligrams?|micrograms?)\b)"
NEGATIONS = (  # of a terse note: what is denied becomes affirmed, or the other way round
    (r"\b([Dd])enies\b", r"\1oes report"),
    (r"\bHas never\b", "Has long"),
    (r"^Never (?=in\b)", "Twice "),
    (r"^No (\w)", None),
    (r"^Also (?:an? |some )?", "No "),
    (r"\bwithout\b", "with"),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A visit, its reference note with one changed sentence, and what was done to which."""

    visit: Consultation
    note: str
    kind: str
    original: str
    changed: str


def plant_error(visits: Sequence[Consultation], seed: int) -> Planted:
    """One error in the reference note of one of the visits, by `seed`: each kind is as likely.

    The kinds are those of EDITS. ValueError where no note has a place for any of them.
    """
    rng = random.Random(f"planted/{seed}")
    places: dict[str, list[Planted]] = {}
    for visit in visits:
        for sentence in grounding.split_note(visit.note):
            if visit.note.count(sentence) == 1:
                for kind, edit in EDITS.items():
                    changed = edit(sentence, visit, rng)
                    if changed and changed not in visit.note:
                        note = visit.note.replace(sentence, changed)
                        found = Planted(visit, note, kind, sentence, changed)
                        places.setdefault(kind, []).append(found)
    if not places:
        raise ValueError("no note of these visits has a place for an error")
    return rng.choice(places[rng.choice(sorted(places))])


def check_planted(planted: Planted, answer: str) -> str:
    """Is this the changed sentence? What to say, and what the check of step 04 sees in the note.

    Nothing is given away before there is an answer. White space, case and the last full stop do
    not count.
    """
    if not answer.strip():
        return "Read the note against the transcript, and write the sentence that is wrong."
    written = grounding.split_note(planted.note)
    links = grounding.link(written, planted.visit.turns)
    flagged = [f"  {k.sentence} ({'; '.join(k.reasons)})" for k in links if k.reasons]
    seen = "\n".join(["The check of this notebook flags:", *(flagged or ["  nothing"])])
    if _plain(answer) not in map(_plain, written):
        return "That is no sentence of this note: copy one as it stands."
    if _plain(answer) != _plain(planted.changed):
        return f"Wrong: the reference note has this sentence as well.\n{seen}"
    return f"Right: {planted.kind}. The note had: {planted.original}\n{seen}\n{_lost(planted)}"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _lost(planted: Planted) -> str:
    """Which facts of the visit the note no longer keeps."""
    facts = grounding.facts(planted.visit.turns)
    notes = (grounding.split_note(note) for note in (planted.visit.note, planted.note))
    before, after = (grounding.kept(facts, note) for note in notes)
    lost = [f.value for f, was, is_kept in zip(facts, before, after, strict=True) if was > is_kept]
    return f"Facts that it now finds omitted: {', '.join(dict.fromkeys(lost)) or 'none'}."


# ------------------------------------------------------------------------------------ the errors


def _dose(sentence: str, visit: Consultation, rng: random.Random) -> str:
    """Twice, half or ten times as much, whichever is a whole number; "" where none is."""
    found = re.search(DOSE, sentence)
    old = float(found[0]) if found else 0.0
    others = [n for n in (old * 2, old / 2, old * 10) if n and n == int(n)]
    if not found or not others:
        return ""
    return sentence[: found.start()] + f"{rng.choice(others):g}" + sentence[found.end() :]


def _age(sentence: str, visit: Consultation, rng: random.Random) -> str:
    """Some years off: the age of another patient who could be this one."""
    found = re.search(r"\b\d+(?=[ -]years?[ -]old)", sentence)
    if not found:
        return ""
    old = int(found[0])
    other = rng.choice([age for age in range(max(1, old - 12), old + 13) if abs(age - old) > 3])
    return sentence[: found.start()] + str(other) + sentence[found.end() :]


def _side(sentence: str, visit: Consultation, rng: random.Random) -> str:
    found = re.search(r"\b(left|right)\b", sentence)
    other = {"left": "right", "right": "left"}
    return re.sub(r"\b(left|right)\b", other[found[0]], sentence, count=1) if found else ""


def _negation(sentence: str, visit: Consultation, rng: random.Random) -> str:
    for pattern, new in NEGATIONS:
        if found := re.search(pattern, sentence):
            other = found.expand(new) if new is not None else found[1].upper()
            return sentence[: found.start()] + other + sentence[found.end() :]
    return ""


def _symptom(sentence: str, visit: Consultation, rng: random.Random) -> str:
    """Beside another symptom; one of whose words nothing was said."""
    if not re.match(r"Also (?!.*\band\b)", sentence):
        return ""
    spoken = said(visit)
    new = [s for s in SYMPTOMS if not any(word in spoken for word in s.split() if len(word) > 3)]
    return f"{sentence.rstrip('.')} and {rng.choice(new)}." if new else ""


def _dropped(sentence: str, visit: Consultation, rng: random.Random) -> str:
    """Out of a list of medicines one."""
    drugs = [fact.value for fact in grounding.facts(sentence) if fact.kind == "medication"]
    lists = rf"(?:,| and| with) (?:{'|'.join(map(re.escape, drugs))})\b(?=[.,]| and)"
    found = list(re.finditer(lists, sentence)) if drugs else []
    if not found:
        return ""
    place = rng.choice(found)
    return sentence[: place.start()] + sentence[place.end() :]


EDITS: dict[str, Edit] = {
    "another dose": _dose,
    "the other side": _side,
    "a negation turned": _negation,
    "an invented symptom": _symptom,
    "a dropped medication": _dropped,
    "another patient's age": _age,
}
