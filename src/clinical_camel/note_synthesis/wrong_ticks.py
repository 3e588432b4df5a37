"""The exercise "Three of these ticks are wrong": sentences that the check supports although false.

The check compares words and facts, not meaning. Each row of wrong_ticks.csv has a sentence of the
exercise's reference note and a false one made of the same words. `show_wrong_ticks` asks the check
itself, so the exhibit has only errors that it misses today.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clinical_camel import grounding
from clinical_camel.data import Consultation
from clinical_camel.note_synthesis.exercise_answers import is_empty, match_answer
from clinical_camel.note_synthesis.planted import TICKS, read_visits
from clinical_camel.note_synthesis.word_lists import read_rows

PAIRS = read_rows("wrong_ticks.csv")  # a sentence of the note, a false one, why it is false
COUNT = 3  # false sentences


@dataclass(frozen=True, slots=True)
class WrongTicks:
    """A visit, a note that the check supports in every sentence, and its false sentences."""

    consultation: Consultation
    note: str
    reasons: Mapping[str, str]  # why a sentence is false, by sentence
    annotations: Mapping[str, tuple[str, str]]  # for `render_side_by_side`


def show_wrong_ticks() -> WrongTicks:
    """Return a note whose every sentence has a tick; COUNT of them are false.

    Sentences of the reference note that the check flags are left out. There are fewer false ones if
    the check finds more of PAIRS.
    """
    visit = next(row for row in read_visits() if row.id == TICKS)
    missed = [pair for pair in PAIRS if _is_supported(pair[1], visit)][:COUNT]
    note = visit.note
    for original, false, _ in missed:
        note = note.replace(original, false)
    links = grounding.link_sentences(grounding.split_note(note), visit.turns)
    for link in links:
        if link.verdict != "supported":
            note = note.replace(link.sentence, "").replace("  ", " ")
    ticks = {
        k.sentence: (k.verdict, _name_turns(k.sources))
        for k in links
        if k.sources and not k.reasons
    }
    return WrongTicks(visit, note, {false: why for _, false, why in missed}, ticks)


def _is_supported(sentence: str, visit: Consultation) -> bool:
    return grounding.link_sentences([sentence], visit.turns)[0].verdict == "supported"


def _name_turns(sources: Sequence[int]) -> str:
    return "turn " + ", ".join(str(index + 1) for index in sources)


def grade_wrong_ticks(exhibit: WrongTicks, answers: object) -> str:
    """Return a line for each answer: is this sentence false, and why?

    `answers`: a list of sentences, or a single one. Answers that are empty reveal nothing, nor do
    more answers than false sentences. `match_answer` says how exactly they must be copied.
    """
    single = not isinstance(answers, list | tuple | set)
    written = [answer for answer in ([answers] if single else answers) if not is_empty(answer)]
    count = len(exhibit.reasons)
    if not written:
        return f"Copy the {count} false sentences into `answers`."
    if len(written) > count:
        return f"Give at most {count} answers."
    sentences = grounding.split_note(exhibit.note)
    lines, correct = [], set()
    for answer in written:
        sentence, verdict = match_answer(answer, sentences)
        if reason := exhibit.reasons.get(sentence):
            verdict = f"Right: {reason}."
            correct.add(sentence)
        lines.append(f"{str(answer).strip()}\n  {verdict or 'No: this sentence is true.'}")
    return "\n".join([*lines, f"{len(correct)} of {count}"])
