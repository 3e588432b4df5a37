"""Exercises of step 04: wrong ticks, shared words, a finder of planted errors."""

import math
from collections.abc import Callable, Sequence

from clinical_camel import grounding, note_synthesis
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
    require_number,
)
from clinical_camel.note_synthesis.planted import PlantedError

ERRORS = 40
MIN_RECALL, MAX_ALARMS = 0.4, 0.25
CASES = (  # sentence, transcript, share of its different words in the transcript
    ("No fever.", "Do you have fever? No.", 1.0),
    ("Fever and cough", "I have a fever", 1 / 3),
    ("Pain in the left knee.", "Pain? Yes, the left knee hurts.", 0.8),
    ("The pain is in a painter.", "Painters feel the pain.", 2 / 6),
)


def grade_ticks(answers: object) -> Feedback:
    """Grade the false sentences of the note whose every sentence has a tick."""
    exhibit = note_synthesis.show_wrong_ticks()
    text = note_synthesis.grade_wrong_ticks(exhibit, answers)
    if text.startswith("Copy the"):
        return Feedback(OPEN, text)
    count = len(exhibit.reasons)
    if not text.endswith(f"{count} of {count}"):
        hint = "A true sentence has a turn that states it: read the turns in brackets after it."
        return Feedback(WRONG, f"{text}\n{hint}")
    return Feedback(
        RIGHT, f"{text}\nWords and facts are in the consultation; their relation is not."
    )


def grade_shared_words(function: Callable) -> Feedback:
    """Grade `function(sentence, transcript)`: the share of its words in the transcript."""
    return grade_function(function, _grade_share)


def _grade_share(share: Callable) -> Feedback:
    for sentence, transcript, right in CASES:
        value = require_number(share(sentence, transcript))
        if not math.isclose(value, right, abs_tol=1e-6):
            raise AnswerError(
                f"{sentence!r} and {transcript!r}: your share is {value:.3f}, it should be "
                f"{right:.3f}. {_explain_share(value, sentence, transcript)}"
            )
    flipped = share("Fever.", "I have no fever.")
    return Feedback(
        RIGHT,
        f"Now look: 'Fever.' in a consultation with 'I have no fever.' has a share of "
        f"{flipped:.0%}. So a rule of shared words never sees a missing negation, and an overlap "
        "score does not either.",
    )


def _explain_share(value: float, sentence: str, transcript: str) -> str:
    """Return which common mistake gives this share, or a hint."""
    raw, spoken = sentence.split(), transcript.split()
    words, others = (
        [word.strip(".,?!").lower() for word in text.split()] for text in (sentence, transcript)
    )
    cased = [word.strip(".,?!") for word in raw]
    mistakes = {
        "Punctuation belongs to no word: 'fever.' and 'fever' are one.": (
            len({w.lower() for w in raw} & {w.lower() for w in spoken}) / len(set(raw))
        ),
        "Compare without case.": (
            len(set(cased) & {word.strip(".,?!") for word in spoken}) / len(set(cased))
        ),
        "Divide by the words of the sentence, not of the transcript.": (
            len(set(words) & set(others)) / len(set(others))
        ),
        "Compare words, not parts of words: 'pain' is in 'painter', but it is another word.": (
            sum(word in transcript.lower() for word in set(words)) / len(set(words))
        ),
    }
    near = [text for text, share in mistakes.items() if math.isclose(share, value, abs_tol=1e-6)]
    return near[0] if near else "Count different words, in small letters, without punctuation."


def grade_error_finder(function: Callable) -> Feedback:
    """Grade `function(sentences, turns)`, which returns the sentences that it suspects.

    Measured on planted errors in reference notes: recall is the share of errors that are among the
    suspects, false alarms the share of other sentences that are.
    """
    return grade_function(function, _grade_finder)


def plant_errors(count: int = ERRORS) -> list[PlantedError]:
    """Return notes of invented consultations, each with one changed sentence."""
    rows = note_synthesis.load_exercise_visits()
    return [note_synthesis.plant_error(rows, seed) for seed in range(count)]


def find_by_check(sentences: Sequence[str], turns: Sequence[str]) -> list[str]:
    """Return the sentences that the project's own check flags, from the texts of the turns."""
    links = grounding.link_sentences(list(sentences), list(turns))
    return [link.sentence for link in links if link.verdict != "supported"]


def measure_finder(find: Callable) -> tuple[float, float]:
    """Return recall and rate of false alarms of a finder on the planted errors."""
    seen, alarms, others = 0, 0, 0
    errors = plant_errors()
    for error in errors:
        sentences = grounding.split_note(error.note)
        suspects = find(list(sentences), [turn.text for turn in error.consultation.turns])
        if isinstance(suspects, str) or not isinstance(suspects, list | tuple | set):
            raise AnswerError("Return a list of sentences.")
        if unknown := [s for s in suspects if s not in sentences]:
            raise AnswerError(f"{unknown[0]!r} is no sentence of the note: return them unchanged.")
        planted = {s for s in sentences if s not in error.consultation.note}
        seen += bool(planted & set(suspects))
        alarms += len(set(suspects) - planted)
        others += len(set(sentences) - planted)
    return seen / len(errors), alarms / others


def _grade_finder(find: Callable) -> Feedback:
    recall, alarms = measure_finder(find)
    own = measure_finder(find_by_check)
    text = (
        f"Your finder: recall {recall:.0%}, false alarms {alarms:.0%} of the correct sentences. "
        f"The check of notebook 04: {own[0]:.0%} and {own[1]:.0%}. "
    )
    if recall < MIN_RECALL:
        hint = "It misses too much. Start with numbers of a sentence that no turn has."
        return Feedback(WRONG, text + hint)
    if alarms > MAX_ALARMS:
        hint = (
            "It suspects too many correct sentences: who must read every sentence needs no finder."
        )
        return Feedback(WRONG, text + hint)
    return Feedback(RIGHT, text + "Report both numbers: either of them alone can be made perfect.")
