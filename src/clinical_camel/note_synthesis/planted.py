"""The exercise: one error is planted in a reference note, for the reader and the check to find."""

import functools
import importlib.resources
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel import data, grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis import inventions, planting
from clinical_camel.note_synthesis.corpora import normalise_transcript
from clinical_camel.note_synthesis.edits import Edit, rewrite

# An error must not give itself away: each new sentence is one that such a note could have.
FLIPS = rewrite(
    (r"\b([Dd])enies\b", r"\1oes report"),
    (r"^Has never smoked\b", "Smokes"),
    (r"^Smokes\b[^.]*", "Has never smoked"),
    (r"^No alcohol\b", "Drinks alcohol"),
    (r"^A glass of wine on Sundays\b", "No alcohol"),
    (r"^Never in hospital\b", "Was in hospital once"),
    (r"^No (recent|family|headaches?|fever|chest|dizziness|vomiting|numbness)\b", r"\1"),
    (r"^Also (?:an? |some )?", "No "),
    (r"\bis intact\b", "is not intact"),
    (r"\bis not tender\b", "is tender"),
    (r"\bwithout\b", "with"),
)
OWN_ILLNESS = rewrite(
    (r"^(?:Her |His )?(?:[Ff]ather|[Mm]other|[Bb]rother|[Ss]ister) (had|has) (?=[a-z])", r"\1 ")
)


@dataclass(frozen=True, slots=True)
class PlantedError:
    """A consultation, and its reference note with one changed sentence."""

    consultation: Consultation
    note: str
    kind: str
    original: str
    changed: str


def load_exercise_visits() -> list[Consultation]:
    """Return the invented visits of the exercises: they have doses and sides, as few others do."""
    folder = importlib.resources.files("clinical_camel.note_synthesis")
    lines = (folder / "exercise_visits.jsonl").read_text(encoding="utf-8").splitlines()
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


def _use(kind: str) -> Edit:
    return functools.partial(planting.plant, kind)


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


EDITS: dict[str, Edit] = {
    "another dose": _use("dose"),
    "the other side": _use("side"),
    "a flipped negation": FLIPS,
    "an invented symptom": _add_symptom,
    "a dropped medication": _drop_medication,
    "another patient's age": _use("age"),
    "a relative's illness": OWN_ILLNESS,
}
