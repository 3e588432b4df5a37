"""The exercise: one error is planted in a reference note, for the reader and the check to find."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.corpora import normalise_transcript

Edit = Callable[[str, Consultation, random.Random], str]  # "" if the sentence allows no such error
SYMPTOMS = ("palpitations", "night sweats", "nausea", "ankle swelling", "a dry cough", "itching")
DOSE = r"(?<![\w.])\d+(?:\.\d+)?(?= ?(?:mg|mcg|milligrams?|micrograms?)\b)"
NEGATIONS = (  # in a terse note: a denied finding becomes affirmed, or the reverse
    (r"\b([Dd])enies\b", r"\1oes report"),
    (r"\bHas never\b", "Has long"),
    (r"^Never (?=in\b)", "Twice "),
    (r"^No (\w)", None),
    (r"^Also (?:an? |some )?", "No "),
    (r"\bwithout\b", "with"),
)


@dataclass(frozen=True, slots=True)
class PlantedError:
    """A consultation, and its reference note with one changed sentence."""

    consultation: Consultation
    note: str
    kind: str
    original: str
    changed: str


def plant_error(consultations: Sequence[Consultation], seed: int) -> PlantedError:
    """Return a reference note with one error, chosen by `seed`; every kind in EDITS is as likely.

    Raises ValueError if no note allows any kind of error.
    """
    rng = random.Random(f"planted/{seed}")
    errors: dict[str, list[PlantedError]] = {}
    for row in consultations:
        for sentence in grounding.split_note(row.note):
            if row.note.count(sentence) == 1:
                for kind, edit in EDITS.items():
                    changed = edit(sentence, row, rng)
                    if changed and changed not in row.note:
                        note = row.note.replace(sentence, changed)
                        error = PlantedError(row, note, kind, sentence, changed)
                        errors.setdefault(kind, []).append(error)
    if not errors:
        raise ValueError("no reference note allows a planted error; choose other consultations")
    return rng.choice(errors[rng.choice(sorted(errors))])


def grade_answer(error: PlantedError, answer: str) -> str:
    """Return whether `answer` is the changed sentence, and what the check of step 04 flags.

    An empty answer reveals nothing. White space, case and the final full stop do not count.
    """
    if not answer.strip():
        return "Read the note against the transcript, and write the sentence that is wrong."
    sentences = grounding.split_note(error.note)
    links = grounding.link_sentences(sentences, error.consultation.turns)
    flagged = [f"  {k.sentence} ({'; '.join(k.reasons)})" for k in links if k.reasons]
    report = "\n".join(["The check of this notebook flags:", *(flagged or ["  nothing"])])
    if _normalise(answer) not in map(_normalise, sentences):
        return "This sentence is not in the note: copy one exactly."
    if _normalise(answer) != _normalise(error.changed):
        return f"Wrong: the reference note has this sentence too.\n{report}"
    return f"Right: {error.kind}. The original: {error.original}\n{report}\n{_list_omitted(error)}"


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _list_omitted(error: PlantedError) -> str:
    """Return a line with the facts that only the original note covers."""
    facts = grounding.extract_facts(error.consultation.turns)
    notes = (grounding.split_note(note) for note in (error.consultation.note, error.note))
    before, after = (grounding.find_covered(facts, note) for note in notes)
    omitted = [f.value for f, was, now in zip(facts, before, after, strict=True) if was > now]
    return f"Facts that are now omitted: {', '.join(dict.fromkeys(omitted)) or 'none'}."


# ------------------------------------------------------------------------------------ the errors


def _change_dose(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    """Double, halve or multiply the dose by ten; "" if none of these is a whole number."""
    match = re.search(DOSE, sentence)
    old = float(match[0]) if match else 0.0
    others = [n for n in (old * 2, old / 2, old * 10) if n and n == int(n)]
    if not match or not others:
        return ""
    return sentence[: match.start()] + f"{rng.choice(others):g}" + sentence[match.end() :]


def _change_age(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    """Change the age by 4 to 12 years: a plausible age for the same complaint."""
    match = re.search(r"\b\d+(?=[ -]years?[ -]old)", sentence)
    if not match:
        return ""
    old = int(match[0])
    new = rng.choice([age for age in range(max(1, old - 12), old + 13) if abs(age - old) > 3])
    return sentence[: match.start()] + str(new) + sentence[match.end() :]


def _swap_side(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    match = re.search(r"\b(left|right)\b", sentence)
    other = {"left": "right", "right": "left"}
    return re.sub(r"\b(left|right)\b", other[match[0]], sentence, count=1) if match else ""


def _flip_negation(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    for pattern, new in NEGATIONS:
        if match := re.search(pattern, sentence):
            other = match.expand(new) if new is not None else match[1].upper()
            return sentence[: match.start()] + other + sentence[match.end() :]
    return ""


def _add_symptom(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    """Add a symptom none of whose words occurs in the transcript."""
    if not re.match(r"Also (?!.*\band\b)", sentence):
        return ""
    text = normalise_transcript(consultation)
    new = [s for s in SYMPTOMS if not any(word in text for word in s.split() if len(word) > 3)]
    return f"{sentence.rstrip('.')} and {rng.choice(new)}." if new else ""


def _drop_medication(sentence: str, consultation: Consultation, rng: random.Random) -> str:
    """Drop one medicine from a list."""
    drugs = [fact.value for fact in grounding.extract_facts(sentence) if fact.kind == "medication"]
    lists = rf"(?:,| and| with) (?:{'|'.join(map(re.escape, drugs))})\b(?=[.,]| and)"
    matches = list(re.finditer(lists, sentence)) if drugs else []
    if not matches:
        return ""
    match = rng.choice(matches)
    return sentence[: match.start()] + sentence[match.end() :]


EDITS: dict[str, Edit] = {
    "another dose": _change_dose,
    "the other side": _swap_side,
    "a flipped negation": _flip_negation,
    "an invented symptom": _add_symptom,
    "a dropped medication": _drop_medication,
    "another patient's age": _change_age,
}
