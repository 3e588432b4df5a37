"""Reads the facts and writes them out, as review articles and as exam questions.

The same writer serves the real conditions of `facts.csv` and the invented ones of the primer. Exam
questions use other words than articles and dialogues, so that an exam asks for the fact and not for
the sentence.
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
    """A condition; for each attribute a phrase in `values` and a sentence of why in `details`."""

    condition: str
    specialty: str
    values: dict[str, str]
    details: dict[str, str]


# For each attribute: the heading of its section, sentences that state the fact, and sentences that
# state it again. {c} is the condition, {v} the value.
SECTIONS = {
    "presentation": (
        "Clinical features",
        (
            "{c} typically presents with {v}.",
            "The classic picture of {c} is {v}.",
            "Most people with {c} have {v}.",
            "The story of {c} usually begins with {v}.",
            "{c} makes itself known by {v}.",
        ),
        (
            "When a patient describes {v}, {c} should come to mind.",
            "Few findings suggest {c} as strongly as {v}.",
            "In {c}, {v} is often the first complaint.",
            "What brings people with {c} to a doctor is {v}.",
            "To recognise {c}, remember {v}.",
        ),
    ),
    "investigation": (
        "Investigation",
        (
            "The investigation of choice for {c} is {v}.",
            "{c} is confirmed by {v}.",
            "To prove {c}, clinicians rely on {v}.",
            "The diagnosis of {c} is made by {v}.",
            "The best test for {c} is {v}.",
        ),
        (
            "If {c} is suspected, {v} should not be delayed.",
            "A diagnosis of {c} rests on {v}.",
            "In {c}, {v} gives the answer.",
            "Doubt about {c} is ended by {v}.",
            "Anybody who may have {c} needs {v}.",
        ),
    ),
    "treatment": (
        "Treatment",
        (
            "The first-line treatment of {c} is {v}.",
            "{c} is treated with {v}.",
            "Treatment of {c} begins with {v}.",
            "Doctors manage {c} with {v}.",
            "The mainstay against {c} is {v}.",
        ),
        (
            "Guidelines for {c} put {v} first.",
            "For {c}, {v} is the usual start.",
            "People with {c} should be offered {v}.",
            "Every plan for {c} begins with {v}.",
            "In {c}, {v} leads the list.",
        ),
    ),
    "cause": (
        "Cause",
        (
            "{c} is caused by {v}.",
            "The cause of {c} is {v}.",
            "{c} arises from {v}.",
            "Behind {c} stands {v}.",
            "{c} is the result of {v}.",
        ),
        (
            "Without {v} there would be no {c}.",
            "The process behind {c} is {v}.",
            "In {c}, {v} starts the illness.",
            "To understand {c}, think of {v}.",
            "What drives {c} is {v}.",
        ),
    ),
    "complication": (
        "Complications",
        (
            "The main complication of {c} is {v}.",
            "{c} may be complicated by {v}.",
            "Untreated {c} can lead to {v}.",
            "The danger of {c} is {v}.",
            "{c} can end in {v}.",
        ),
        (
            "Patients with {c} should be warned of {v}.",
            "In {c}, {v} is the event to prevent.",
            "Follow-up of {c} looks for {v}.",
            "Those who care for {c} keep {v} in mind.",
            "People with {c} are watched for {v}.",
        ),
    ),
    "risk_factor": (
        "Risk factors",
        (
            "A known risk factor for {c} is {v}.",
            "The risk of {c} is raised by {v}.",
            "{c} is linked to {v}.",
            "Among the risks for {c}, {v} stands out.",
            "What makes {c} likelier is {v}.",
        ),
        (
            "A history taken for {c} asks about {v}.",
            "For {c}, {v} is the risk to remember.",
            "The chance of {c} grows with {v}.",
            "In {c}, {v} is often found on asking.",
            "To foresee {c}, look for {v}.",
        ),
    ),
}
ATTRIBUTES = tuple(SECTIONS)
# Where an article of the study says why. Everywhere would be the better reading, but a model of a
# million parameters then spends its training on these sentences: see outputs/LOG.md.
EXPLAINED = ("cause",)
EXAM = {
    "presentation": (
        "Which description fits somebody suffering from {c}?",
        "A doctor meets a new case of {c}. What is the likely story?",
        "What would you expect to hear or see in {c}?",
    ),
    "investigation": (
        "Which of these would settle whether it is {c}?",
        "What should be ordered to establish {c}?",
        "Somebody may be suffering from {c}. Which test decides?",
    ),
    "treatment": (
        "Which option should be tried before others in {c}?",
        "What would you prescribe or arrange first against {c}?",
        "A patient turns out to have {c}. What comes first?",
    ),
    "cause": (
        "What lies at the root of {c}?",
        "Which mechanism or agent explains {c}?",
        "Why does {c} happen at all?",
    ),
    "complication": (
        "Which later problem is feared in {c}?",
        "What may follow if nobody attends to {c}?",
        "Which harm could come after {c}?",
    ),
    "risk_factor": (
        "Which background makes {c} more probable?",
        "Who or what is especially prone to {c}?",
        "Which of these goes with a higher rate of {c}?",
    ),
}


def _rows(name: str) -> list[dict[str, str]]:
    with (resources.files("clinical_camel") / "mini" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_facts(*splits: str) -> list[Fact]:
    """The conditions of facts.csv in these splits (exam, dev, train), in file order; else all."""
    found: dict[str, Fact] = {}
    for row in _rows("facts.csv"):
        if not splits or row["split"] in splits:
            name = row["condition"]
            fact = found.setdefault(name, Fact(name, row["specialty"], {}, {}))
            fact.values[row["attribute"]] = row["value"]
            fact.details[row["attribute"]] = row["detail"]
    return list(found.values())


@functools.cache
def words() -> list[str]:
    """Every word of the facts, once, in alphabetical order: nothing of what they say is left."""
    texts = [
        text
        for fact in read_facts()
        for text in (fact.condition, *fact.values.values(), *fact.details.values())
    ]
    return sorted({word.strip(".,") for text in texts for word in text.split()})


def read_also_right() -> set[tuple[str, str, str]]:
    """(condition, attribute, value) that a reader of the exam called right too: no wrong option."""
    return {(r["condition"], r["attribute"], r["value"]) for r in _rows("also_right.csv")}


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def slug(text: str) -> str:
    return "-".join(text.lower().split())


def write_article(fact: Fact, rng: random.Random, explained: Sequence[str] = EXPLAINED) -> Article:
    """A short review article: a section for each attribute states the fact twice, wording drawn.

    Between the two stands the sentence of why, in the sections of the attributes `explained`.
    """
    sections = []
    for attribute, (heading, *ways) in SECTIONS.items():
        told, again = (
            capital(rng.choice(w).format(c=fact.condition, v=fact.values[attribute])) for w in ways
        )
        why = f" {fact.details[attribute]}" if attribute in explained else ""
        text = f"{told}{why} {again}"
        sections.append(Section(heading=heading, text=text))
    return Article(
        id=slug(fact.condition),
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
    """Four options a fact: the right value and three of the same attribute of other conditions.

    Two of them are of the condition's own specialty where the pool has two, for they are the
    harder ones to tell apart; nothing in `also_right` is offered as wrong. Drawn question by
    question, so that one row changed in facts.csv changes the questions that show it, and no other.
    """
    also_right, questions = set(also_right), []
    for fact in facts:
        for attribute, wordings in EXAM.items():
            rng = random.Random(f"{seed}/{fact.condition}/{attribute}")
            right = fact.values[attribute]
            wrong = wrong_options(fact, attribute, pool, also_right, rng)
            answer = len(questions) % 4  # even, but in a row: see mix_places
            questions.append(
                Question(
                    id=f"{slug(fact.condition)}-{attribute.replace('_', '-')}",
                    question=rng.choice(wordings).format(c=fact.condition),
                    options=[*wrong[:answer], right, *wrong[answer:]],
                    answer=answer,
                    subset=attribute,
                    group=fact.condition,
                )
            )
    return questions


def mix_places(questions: Sequence[Question], seed: int) -> list[Question]:
    """The same questions with the right option in another place: each of the four in every four.

    Even, so that no place is the better guess, and not to be told from the question before.
    """
    rng = random.Random(seed)
    places = [place for _ in range(-(-len(questions) // 4)) for place in rng.sample(range(4), 4)]
    mixed = []
    for question, place in zip(questions, places, strict=False):
        options = list(question.options)
        options[place], options[question.answer] = options[question.answer], options[place]
        mixed.append(dataclasses.replace(question, options=options, answer=place))
    return mixed


def wrong_options(
    fact: Fact, attribute: str, pool: Sequence[Fact], also_right: set, rng: random.Random
) -> list[str]:
    """Three values of other conditions, two of them of the same specialty if there are two."""
    near, far = [], []
    for other in pool:
        value = other.values[attribute]
        known = value in (fact.values[attribute], *near, *far)
        if known or (fact.condition, attribute, value) in also_right:
            continue
        (near if other.specialty == fact.specialty else far).append(value)
    chosen = rng.sample(near, min(2, len(near)))
    chosen += rng.sample(far or [v for v in near if v not in chosen], 3 - len(chosen))
    rng.shuffle(chosen)
    return chosen
