"""The exercise: one error is planted in a reference note, for the reader and the check to find."""

import functools
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel import data, grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis import inventions, planting
from clinical_camel.note_synthesis.corpora import normalise_transcript
from clinical_camel.note_synthesis.edits import Edit
from clinical_camel.note_synthesis.exercise_answers import is_empty, match_answer
from clinical_camel.note_synthesis.faithfulness import name_reason
from clinical_camel.note_synthesis.word_lists import FOLDER

TICKS = "exercise-ticks"  # the visit of `wrong_ticks`


@dataclass(frozen=True, slots=True)
class PlantedError:
    """A consultation, and its reference note with one changed sentence."""

    consultation: Consultation
    note: str
    kind: str
    original: str
    changed: str


def load_exercise_visits() -> list[Consultation]:
    """Return the invented visits of this exercise: they have doses and sides, as few others do.

    No other part of notebook 04 shows them, so nothing above the exercise gives its answer away.
    """
    return [visit for visit in read_visits() if visit.id != TICKS]


def read_visits() -> list[Consultation]:
    """Return the visits of exercise_visits.jsonl; TICKS is the one of the other exercise."""
    lines = (FOLDER / "exercise_visits.jsonl").read_text(encoding="utf-8").splitlines()
    return [data.from_dict(Consultation, json.loads(line)) for line in lines]


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
                    changed = edit(sentence, normalise_transcript(row), rng)
                    if changed and changed not in row.note:
                        note = row.note.replace(sentence, changed)
                        error = PlantedError(row, note, kind, sentence, changed)
                        errors.setdefault(kind, []).append(error)
    if not errors:
        raise ValueError("no reference note allows a planted error; choose other consultations")
    return rng.choice(errors[rng.choice(sorted(errors))])


def grade_answer(error: PlantedError, answer: object) -> str:
    """Return whether `answer` is the changed sentence; if so, also what the check of step 04 flags.

    No other answer reveals anything. `match_answer` says how exactly it must be copied.
    """
    sentences = grounding.split_note(error.note)
    if is_empty(answer):
        return "Read the note against the transcript, and copy the sentence that was changed."
    sentence, problem = match_answer(answer, sentences)
    if problem:
        return problem
    if sentence != error.changed:
        return "Wrong: the reference note has this sentence, too. Try another one."
    links = grounding.link_sentences(sentences, error.consultation.turns)
    flagged = [
        f"  {'the planted error' if k.sentence == error.changed else 'a false alarm'}: {k.sentence}"
        f" ({'; '.join(map(name_reason, k.reasons))})"
        for k in links
        if k.reasons
    ]
    return "\n".join(
        [
            f"Right: {error.kind}. The original: {error.original}",
            "The check of this notebook flags:",
            *(flagged or ["  nothing"]),
            _list_omitted(error),
        ]
    )


def _list_omitted(error: PlantedError) -> str:
    """Return a line with the facts that only the original note covers."""
    facts = grounding.extract_facts(error.consultation.turns)
    notes = (grounding.split_note(note) for note in (error.consultation.note, error.note))
    before, after = (grounding.find_covered(facts, note) for note in notes)
    lost = [f for f, was, now in zip(facts, before, after, strict=True) if was > now]
    names = dict.fromkeys("no " * (fact.kind == "negation") + fact.value for fact in lost)
    return f"Facts that are now omitted: {', '.join(names) or 'none'}."


# ------------------------------------------------------------------------------------ the errors


def _add_symptom(sentence: str, source: str, rng: random.Random) -> str:
    """Add a symptom none of whose words occurs in the transcript."""
    if not re.match(r"Also (?!.*\band\b)", sentence):
        return ""
    symptom = inventions.choose_absent(inventions.SYMPTOMS, source, rng)
    return f"{sentence.rstrip('.')} and {symptom}." if symptom else ""


def _drop_medication(sentence: str, source: str, rng: random.Random) -> str:
    """Drop one medicine from a list, so that the list stays well formed."""
    words = re.findall(r"[A-Za-z-]{5,}", sentence)
    drugs = [word for word in words if _is_medication(word)]
    names = "|".join(map(re.escape, drugs))
    lists = rf"(?:,| and| with) (?:{names})\b(?=[.,]| and)"
    matches = list(re.finditer(lists, sentence)) if drugs else []
    matches = [match for match in matches if match[0][0] == "," or "," not in sentence]
    if not matches:
        return ""
    match = rng.choice(matches)
    return sentence[: match.start()] + sentence[match.end() :]


@functools.cache
def _is_medication(word: str) -> bool:
    return any(fact.kind == "medication" for fact in grounding.extract_facts(word))


# An error must not give itself away: each new sentence is one that such a note could have.
EDITS: dict[str, Edit] = {
    "another dose": functools.partial(planting.plant, "dose"),
    "the other side": functools.partial(planting.plant, "side"),
    "a flipped negation": planting.read_rewrites("a flipped negation"),
    "an invented symptom": _add_symptom,
    "a dropped medication": _drop_medication,
    "another patient's age": functools.partial(planting.plant, "age"),
    "a relative's illness": planting.read_rewrites("a relative's illness"),
}
