"""Loading an exam, few-shot exemplars, variants of a question."""

import collections

import pytest

from clinical_camel import eval_fewshot
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import Design
from clinical_camel.eval_fewshot.questions import require_exemplars


def rows(prefix, count):
    same = {"options": ["a", "b"], "answer": 0}
    return [
        Question(id=f"{prefix}{i}", question=f"{prefix}{i}?", subset="st"[i % 2], **same)
        for i in range(count)
    ]


POOL, QUESTIONS = rows("p", 20), rows("a", 10)


# ------------------------------------------------------------------------------------ loading


def test_an_exam_has_questions_and_exemplars_of_each_benchmark():
    design = Design(question_limit=3)
    questions, exemplar_pools = eval_fewshot.load_exam(design)
    assert list(questions) == list(exemplar_pools) == ["mini_exam", "mini_exam_primer"]
    assert {len(each) for each in questions.values()} == {3}
    assert min(map(len, exemplar_pools.values())) >= 5


def test_zero_shot_needs_no_exemplars():
    design = Design(num_shots=[0], benchmarks=["mini_exam"], exemplars={}, question_limit=3)
    assert eval_fewshot.load_benchmark("mini_exam", design)[1] == []


def test_without_a_training_set_some_questions_become_exemplars_and_are_not_scored():
    design = Design(num_shots=[0, 2], benchmarks=["mini_exam"], exemplars={"mini_exam": ""})
    zero_shot = Design(num_shots=[0], benchmarks=["mini_exam"], exemplars={})
    questions, exemplars = eval_fewshot.load_benchmark("mini_exam", design)
    everything, _ = eval_fewshot.load_benchmark("mini_exam", zero_shot)
    assert len(exemplars) == 2
    assert {q.id for q in questions} | {e.id for e in exemplars} == {q.id for q in everything}
    assert not {q.id for q in questions} & {e.id for e in exemplars}


# ---------------------------------------------------------------------------------- exemplars


def chosen(choice, num_shots=4, benchmark="mmlu_medical", pool=POOL, questions=QUESTIONS, seed=0):
    design = Design(exemplar_choice=choice, seed=seed)
    return eval_fewshot.choose_exemplars(benchmark, questions, pool, num_shots, design)


def test_fixed_exemplars_are_the_same_for_all_questions():
    exemplars = chosen("fixed", 12, "toy")
    assert len({tuple(e.id for e in each) for each in exemplars.values()}) == 1
    assert len(exemplars["a0"]) == 12


def test_in_mmlu_fixed_exemplars_are_the_same_within_a_subject():
    sets = collections.defaultdict(set)
    for question in QUESTIONS:
        exemplars = chosen("fixed")[question.id]
        sets[question.subset].add(tuple(e.id for e in exemplars))
        assert {e.subset for e in exemplars} == {question.subset}
    assert [len(s) for s in sets.values()] == [1, 1]


def test_exemplars_per_question_differ_and_depend_on_the_seed():
    first = chosen("per_question")
    assert len({tuple(e.id for e in each) for each in first.values()}) > 5
    assert first == chosen("per_question") != chosen("per_question", seed=1)


def test_a_question_is_never_its_own_exemplar():
    exemplars = chosen("per_question", 4, pool=QUESTIONS)
    assert all(q.question not in {e.question for e in exemplars[q.id]} for q in QUESTIONS)


@pytest.mark.parametrize(
    ("benchmark", "message"),
    [
        ("toy", "num_shots: 21 exemplars needed, but the pool of toy has 20;"),
        ("mmlu_medical", "the pool of mmlu_medical, [st] has 10;"),
    ],
)
def test_more_shots_than_exemplars_are_rejected(benchmark, message):
    with pytest.raises(ValueError, match=message):
        chosen("fixed", 21, benchmark)


def test_a_question_in_the_pool_leaves_one_exemplar_fewer():
    with pytest.raises(ValueError, match="the pool of toy without question .* has 3;"):
        chosen("per_question", 4, "toy", QUESTIONS[:4], QUESTIONS[:4])


def test_an_exemplar_that_is_also_a_question_is_rejected_unless_of_another_subject():
    question = Question(id="x", question="p0?", options=["a", "b"], answer=0, subset="t")
    design = Design(num_shots=[8])
    require_exemplars("mmlu_medical", [question], POOL, design)
    with pytest.raises(ValueError, match="exemplars.toy: question x is also one of its exemplars"):
        require_exemplars("toy", [question], POOL[:8], design)


# ----------------------------------------------------------------------------------- variants

FOUR = Question(id="f", question="Which?", options=list("wxyz"), answer=2, context="Text.")


def test_shuffling_moves_the_correct_option_with_its_text():
    shuffled = [eval_fewshot.make_variant(FOUR, "shuffled", seed) for seed in range(20)]
    assert all(q.options[q.answer] == "y" and sorted(q.options) == list("wxyz") for q in shuffled)
    assert {q.answer for q in shuffled} == {0, 1, 2, 3}


def test_options_only_hides_the_question_and_its_context():
    variant = eval_fewshot.make_variant(FOUR, "options_only", 0)
    assert (variant.options, variant.answer, variant.context) == (FOUR.options, 2, "")
    assert "Which?" not in variant.question


def test_none_of_the_above_replaces_the_correct_option():
    variant = eval_fewshot.make_variant(FOUR, "none_of_the_above", 0)
    assert variant.options == ["w", "x", "None of the above", "z"]
    assert variant.answer == 2
