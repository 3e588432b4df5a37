"""The exercise "Three of these ticks are wrong": sentences that the check supports although false.

The check compares words and facts, not meaning. Each pair below has a sentence of the exercise's
reference note and a false one made of the same words. `show_wrong_ticks` asks the check itself, so
the exhibit has only errors that it misses today.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.planted import load_exercise_visits

VISIT = "exercise-ticks"
PAIRS = (  # a sentence of the reference note, a false one, and why it is false
    (
        "She sees flashing lights, then the pain comes.",
        "The pain comes, then she sees flashing lights.",
        "the order is reversed: first the lights, then the pain",
    ),
    (
        "Takes lisinopril 10 mg for blood pressure and simvastatin 20 mg for cholesterol.",
        "Takes lisinopril 10 mg for cholesterol and simvastatin 20 mg for blood pressure.",
        "the purposes are exchanged: lisinopril is for her blood pressure",
    ),
    (
        "Her husband drives her.",
        "She drives her husband.",
        "the roles are exchanged: her husband drives",
    ),
    (
        "Take sumatriptan 50 mg when the lights begin.",
        "Take sumatriptan 50 mg when the pain is there.",
        "the doctor said the opposite: when the lights begin, not when the pain is there",
    ),
    (
        "Sleep makes it better.",
        "Coffee makes it better.",
        "coffee makes it worse; sleep makes it better",
    ),
)


@dataclass(frozen=True, slots=True)
class WrongTicks:
    """A visit, a note that the check supports in every sentence, and its false sentences."""

    consultation: Consultation
    note: str
    reasons: Mapping[str, str]  # why a sentence is false, by sentence
    annotations: Mapping[str, tuple[str, str]]  # for `render_side_by_side`


def show_wrong_ticks(count: int = 3) -> WrongTicks:
    """Return a note whose every sentence has a tick; `count` of them are false.

    Sentences of the reference note that the check flags are left out. There are fewer false ones if
    the check finds more of PAIRS.
    """
    visit = next(row for row in load_exercise_visits() if row.id == VISIT)
    missed = [pair for pair in PAIRS if _is_supported(pair[1], visit)][:count]
    note = visit.note
    for original, false, _ in missed:
        note = note.replace(original, false)
    links = grounding.link_sentences(grounding.split_note(note), visit.turns)
    for link in links:
        if link.verdict != "supported":
            note = note.replace(link.sentence, "").replace("  ", " ")
    ticks = {k.sentence: (k.verdict, _name_turns(k.sources)) for k in links if not k.reasons}
    return WrongTicks(visit, note, {false: why for _, false, why in missed}, ticks)


def _is_supported(sentence: str, visit: Consultation) -> bool:
    return grounding.link_sentences([sentence], visit.turns)[0].verdict == "supported"


def _name_turns(sources: Sequence[int]) -> str:
    return "turn " + ", ".join(str(index + 1) for index in sources) if sources else ""


def grade_wrong_ticks(exhibit: WrongTicks, answers: Sequence[str]) -> str:
    """Return a line for each answer: is this sentence false, and why?

    Answers that are empty reveal nothing. White space, case and the final full stop do not count.
    """
    written = [answer for answer in answers if answer.strip()]
    if not written:
        return f"Copy the {len(exhibit.reasons)} false sentences into `answers`."
    reasons = {_normalise(sentence): why for sentence, why in exhibit.reasons.items()}
    sentences = set(map(_normalise, grounding.split_note(exhibit.note)))
    lines = []
    for answer in written:
        key = _normalise(answer)
        verdict = f"Right: {reasons[key]}." if key in reasons else "No: this sentence is true."
        if key not in sentences:
            verdict = "This sentence is not in the note: copy one exactly."
        lines.append(f"{answer.strip()}\n  {verdict}")
    correct = len({_normalise(answer) for answer in written} & set(reasons))
    return "\n".join([*lines, f"{correct} of {len(reasons)}"])


def _normalise(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")
