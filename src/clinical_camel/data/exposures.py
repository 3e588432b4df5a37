"""How often training rows state the fact that an exam question asks for.

Two sets of rows may have equally many tokens and still state a fact a different number of times.
A *statement* of a fact is an occurrence of the words of the correct option in text that has loss,
in a place that names the condition. Texts are compared without case and punctuation
(`contamination.split_words`).
"""

from collections.abc import Iterator, Sequence

from clinical_camel.data.contamination import split_words
from clinical_camel.data.shapes import Article, Dialogue, Question


def count_exposures(
    rows: Sequence[Dialogue | Article], questions: Sequence[Question], loss_on: str = "assistant"
) -> dict[str, int]:
    """Return for each question, by id, how many times the rows state its fact.

    The condition is the question's `group`. It must be named in the same exchange (question or
    answer) of a dialogue, or in the title, heading or text of the same section of an article; the
    statement itself may say "it". With `loss_on="all"`, the user's turns have loss as well; an
    article has loss on every token. A repeated row counts each time, so a row that is trained on
    for six epochs has six times as many exposures. Raises ValueError for a question without group.

    The function reads words, not meaning: a longer phrase that contains the option counts, and so
    does a denial of it.
    """
    without = [question.id for question in questions if not split_words(question.group)]
    if without:
        raise ValueError(f"question {without[0]!r} has no group: its condition is unknown")
    facts: dict[str, list[tuple[str, str]]] = {}
    for question in questions:
        option = _mark_words(question.options[question.answer])
        facts.setdefault(_mark_words(question.group), []).append((question.id, option))
    counts = {question.id: 0 for question in questions}
    for place, targets in _list_places(rows, loss_on):
        place_words, target_words = _mark_words(place), ""
        for condition in (name for name in facts if name in place_words):
            target_words = target_words or _mark_words(targets)
            for name, option in facts[condition]:
                counts[name] += target_words.count(option)
    return counts


def _mark_words(text: str) -> str:
    """Return the words of a text, each between two spaces: `in` then compares complete words."""
    return "".join(f" {word} " for word in split_words(text))


def _list_places(rows: Sequence[Dialogue | Article], loss_on: str) -> Iterator[tuple[str, str]]:
    """Yield the text of each exchange or section, and the part of it that has loss."""
    for row in rows:
        if isinstance(row, Article):
            for section in row.sections:
                text = f"{section.heading}\n{section.text}"
                yield f"{row.title}\n{text}", text
            continue
        texts = [m["content"] for m in row.messages if m["role"] != "system"]
        for user, answer in zip(texts[::2], texts[1::2], strict=True):
            text = f"{user}\n{answer}"
            yield text, text if loss_on == "all" else answer
