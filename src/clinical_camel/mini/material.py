"""Review articles and exam questions written from facts.

The same functions serve the real conditions of `facts.csv` and the invented ones of the primer.
Exam questions use other wordings than articles and dialogues, so that an exam tests the fact and
not the sentence.
"""

import csv
import dataclasses
import functools
import random
from collections.abc import Iterable, Sequence
from importlib import resources

from clinical_camel.data import Article, Question, Section

LICENCE = "CC-BY-4.0"


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """A condition: for each attribute a phrase in `values` and an explanation in `details`."""

    condition: str
    specialty: str
    values: dict[str, str]
    details: dict[str, str]


@functools.cache
def read_csv(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of this folder."""
    with (resources.files("clinical_camel") / "mini" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@functools.cache
def read_wordings(kind: str) -> dict[str, list[str]]:
    """Return the texts of one kind in wordings.csv, by name, in file order.

    `heading` of the section on an attribute; `statement` and `restatement` of a fact and `question`
    on it ({c} is the condition, {v} the value); `invented`: words for invented facts.
    """
    wordings: dict[str, list[str]] = {}
    for row in read_csv("wordings.csv"):
        if row["kind"] == kind:
            wordings.setdefault(row["name"], []).append(row["text"])
    return wordings


ATTRIBUTES = tuple(read_wordings("heading"))
# Attributes whose sections explain the fact. Explaining all would read better, but a model of a
# million parameters then spends its training on the explanations: see outputs/LOG.md.
EXPLAINED = ("cause",)


def read_facts(*splits: str) -> list[Fact]:
    """Return the conditions of these splits (exam, dev, train) or of all, in file order."""
    facts: dict[str, Fact] = {}
    for row in read_csv("facts.csv"):
        if not splits or row["split"] in splits:
            name = row["condition"]
            fact = facts.setdefault(name, Fact(name, row["specialty"], {}, {}))
            fact.values[row["attribute"]] = row["value"]
            fact.details[row["attribute"]] = row["detail"]
    return list(facts.values())


@functools.cache
def list_words() -> list[str]:
    """Return every word of the facts once, in alphabetical order, which removes their meaning."""
    texts = [
        text
        for fact in read_facts()
        for text in (fact.condition, *fact.values.values(), *fact.details.values())
    ]
    return sorted({word.strip(".,") for text in texts for word in text.split()})


def read_also_right() -> set[tuple[str, str, str]]:
    """Return (condition, attribute, value) that are also correct: never a wrong option."""
    return {(r["condition"], r["attribute"], r["value"]) for r in read_csv("also_right.csv")}


def capitalize(text: str) -> str:
    return text[0].upper() + text[1:]


def make_slug(text: str) -> str:
    return "-".join(text.lower().split())


def write_article(fact: Fact, rng: random.Random, explained: Sequence[str] = EXPLAINED) -> Article:
    """Return a short review article; each section states one fact twice, in random wordings.

    For the attributes in `explained`, the explanation goes between the two statements.
    """
    sections = []
    for attribute, (heading,) in read_wordings("heading").items():
        values = {"c": fact.condition, "v": fact.values[attribute]}
        statement, restatement = (
            capitalize(rng.choice(read_wordings(kind)[attribute]).format(**values))
            for kind in ("statement", "restatement")
        )
        why = f" {fact.details[attribute]}" if attribute in explained else ""
        text = f"{statement}{why} {restatement}"
        sections.append(Section(heading=heading, text=text))
    return Article(
        id=make_slug(fact.condition),
        title=fact.condition,
        sections=sections,
        licence=LICENCE,
        group=fact.specialty,
    )


def write_questions(
    facts: Sequence[Fact],
    pool: Sequence[Fact],
    seed: float,
    also_right: Iterable[tuple[str, str, str]] = (),
) -> list[Question]:
    """Return one question per fact, with four options: its value and three of other conditions.

    Two wrong options come from the same specialty if the pool has two, because they are harder to
    exclude. Nothing in `also_right` is offered as wrong. Each question has a generator of its own,
    so a changed row of facts.csv changes only the questions that show it.
    """
    also_right, questions = set(also_right), []
    for fact in facts:
        for attribute, wordings in read_wordings("question").items():
            rng = random.Random(f"{seed}/{fact.condition}/{attribute}")
            right = fact.values[attribute]
            wrong = _choose_wrong_options(fact, attribute, pool, also_right, rng)
            answer = len(questions) % 4  # balanced, but predictable: see shuffle_positions
            questions.append(
                Question(
                    id=f"{make_slug(fact.condition)}-{attribute.replace('_', '-')}",
                    question=rng.choice(wordings).format(c=fact.condition),
                    options=[*wrong[:answer], right, *wrong[answer:]],
                    answer=answer,
                    subset=attribute,
                    group=fact.condition,
                )
            )
    return questions


def shuffle_positions(questions: Sequence[Question], seed: int) -> list[Question]:
    """Return the questions with the key moved; in every four it takes each position once.

    The positions are balanced, so that none is the better guess, and not predictable from the
    question before.
    """
    rng = random.Random(seed)
    blocks = range(-(-len(questions) // 4))
    positions = [position for _ in blocks for position in rng.sample(range(4), 4)]
    shuffled = []
    for question, position in zip(questions, positions, strict=False):
        options = list(question.options)
        options[position], options[question.answer] = options[question.answer], options[position]
        shuffled.append(dataclasses.replace(question, options=options, answer=position))
    return shuffled


def _choose_wrong_options(
    fact: Fact, attribute: str, pool: Sequence[Fact], also_right: set, rng: random.Random
) -> list[str]:
    """Return three values of other conditions, two of the same specialty if there are two."""
    near, far = [], []
    for other in pool:
        value = other.values[attribute]
        is_used = value in (fact.values[attribute], *near, *far)
        if is_used or (fact.condition, attribute, value) in also_right:
            continue
        (near if other.specialty == fact.specialty else far).append(value)
    chosen = rng.sample(near, min(2, len(near)))
    chosen += rng.sample(far or [v for v in near if v not in chosen], 3 - len(chosen))
    rng.shuffle(chosen)
    return chosen
