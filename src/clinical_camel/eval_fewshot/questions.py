"""The questions of an exam: loading, few-shot exemplars, variants."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from clinical_camel import data
from clinical_camel.data import Question
from clinical_camel.eval_fewshot.open_book import add_article
from clinical_camel.eval_fewshot.settings import Design

BY_SUBSET = ("mmlu_medical",)  # each subset is an exam with exemplars of the same subset
OPTIONS_ONLY = "Which of these is right?"
NONE_OF_THE_ABOVE = "None of the above"

VARIANTS = {  # what each variant changes, and which question about the model it answers
    "as_given": "the questions are unchanged.",
    "shuffled": "the options are in another order. Does the position of the correct option matter?",
    "open_book": "the article on the question's condition precedes the question. How many answers "
    "does a model find that only has to read?",
    "options_only": f'"{OPTIONS_ONLY}" replaces the question. Do the options give the answer away?',
    "none_of_the_above": f'"{NONE_OF_THE_ABOVE}" replaces the correct option and is now correct. '
    "Does the model know that the other options are wrong?",
}


def load_exam(design: Design) -> tuple[dict[str, list[Question]], dict[str, list[Question]]]:
    """Return the questions to score and the exemplar pool of each benchmark.

    Raises ValueError for too few exemplars, and for an exemplar that is also a scored question.
    """
    questions, exemplar_pools = {}, {}
    for spec in design.benchmarks:
        name = data.label(spec)
        questions[name], exemplar_pools[name] = load_benchmark(spec, design)
        require_exemplars(name, questions[name], exemplar_pools[name], design)
    return questions, exemplar_pools


def load_benchmark(spec: str, design: Design) -> tuple[list[Question], list[Question]]:
    """Return the questions of one benchmark to score, and its exemplar pool.

    A benchmark without a training set uses some of its own questions as exemplars; these are not
    scored.
    """
    questions = data.load_questions(spec, design.question_limit, design.image_questions)
    training_set = design.exemplars.get(data.label(spec), "")
    if not max(design.num_shots):
        return questions, []
    if training_set:
        return questions, data.load_training_questions(training_set)
    return reserve_exemplars(questions, max(design.num_shots))


def reserve_exemplars(
    questions: Sequence[Question], count: int
) -> tuple[list[Question], list[Question]]:
    """Split questions into those to score and `count` exemplars."""
    exemplars = data.sample(list(questions), count)
    reserved = {exemplar.id for exemplar in exemplars}
    return [q for q in questions if q.id not in reserved], exemplars


def require_exemplars(
    benchmark: str, questions: Sequence[Question], pool: Sequence[Question], design: Design
) -> None:
    """Raise ValueError for too few exemplars, and for an exemplar that is also a question.

    Four of MMLU's exemplars are also questions of another subject. They are allowed, because no
    question of that subject has them as exemplars.
    """
    exemplars = choose_exemplars(benchmark, questions, pool, max(design.num_shots), design)
    for question in questions:
        if any(_is_same(exemplar, question) for exemplar in exemplars[question.id]):
            raise ValueError(
                f"exemplars.{benchmark}: question {question.id} is also one of its exemplars; "
                "name a training set without the questions of the exam"
            )


def _is_same(exemplar: Question, question: Question) -> bool:
    return exemplar.question == question.question and sorted(exemplar.options) == sorted(
        question.options
    )


def choose_exemplars(
    benchmark: str,
    questions: Sequence[Question],
    pool: Sequence[Question],
    num_shots: int,
    design: Design,
) -> dict[str, tuple[Question, ...]]:
    """Return the exemplars of each question, by its id.

    "fixed" uses the same exemplars for all questions, which the model then reads once.
    "per_question" draws them for each question, as lm-evaluation-harness does by default, so that
    one unlucky draw does not affect every question. In MMLU they come from the question's subject.
    Raises ValueError for a pool that is too small.
    """
    if not num_shots:
        return {question.id: () for question in questions}
    subsets = {q.id: q.subset if benchmark in BY_SUBSET else "" for q in questions}
    pools = {name: [e for e in pool if name in ("", e.subset)] for name in set(subsets.values())}
    for name, rows in pools.items():
        _require_enough(num_shots, rows, ", ".join(filter(None, [benchmark, name])))
    if design.exemplar_choice == "fixed":
        fixed = {name: tuple(data.sample(rows, num_shots)) for name, rows in pools.items()}
        return {q.id: fixed[subsets[q.id]] for q in questions}
    pool_texts = {exemplar.question for exemplar in pool}
    exemplars = {}
    for question in questions:
        others = pools[subsets[question.id]]
        if question.question in pool_texts:
            others = [e for e in others if e.question != question.question]
            _require_enough(num_shots, others, f"{benchmark} without question {question.id}")
        draw = random.Random(f"{design.seed}:{question.id}").sample(others, num_shots)
        exemplars[question.id] = tuple(draw)
    return exemplars


def _require_enough(num_shots: int, pool: Sequence[Question], name: str) -> None:
    if num_shots > len(pool):
        raise ValueError(
            f"num_shots: {num_shots} exemplars needed, but the pool of {name} has {len(pool)}; "
            "lower num_shots or name a larger training set in exemplars"
        )


def explain_variants(design: Design) -> str:
    """Return what each variant of the questions changes, as a list in Markdown."""
    return "\n".join(f"- `{name}`: {VARIANTS[name]}" for name in design.variants)


def make_variant(
    question: Question, variant: str, seed: int, book: Mapping[str, str] = MappingProxyType({})
) -> Question:
    """Return a question changed so that the score answers another question about the model.

    VARIANTS says what each variant changes. `book`: the articles of "open_book" (`read_book`).
    Raises ValueError for a question without an article.
    """
    if variant == "open_book":
        return add_article(question, book)
    if variant == "shuffled":
        order = random.Random(f"{seed}:{question.id}").sample(
            range(len(question.options)), len(question.options)
        )
        options = [question.options[i] for i in order]
        return dataclasses.replace(question, options=options, answer=order.index(question.answer))
    if variant == "options_only":
        return dataclasses.replace(question, question=OPTIONS_ONLY, context="")
    if variant == "none_of_the_above":
        options = list(question.options)
        options[question.answer] = NONE_OF_THE_ABOVE
        return dataclasses.replace(question, options=options)
    return question
