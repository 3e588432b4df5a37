"""Loading an exam, few-shot exemplars, variants of a question."""

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


def test_without_a_training_set_some_questions_become_exemplars_and_are_not_scored():
    design = Design(num_shots=[0, 2], benchmarks=["mini_exam"], exemplars={"mini_exam": ""})
    zero_shot = Design(num_shots=[0], benchmarks=["mini_exam"], exemplars={})
    questions, exemplars = eval_fewshot.load_benchmark("mini_exam", design)
    everything, none = eval_fewshot.load_benchmark("mini_exam", zero_shot)
    assert (len(exemplars), none) == (2, [])
    assert {q.id for q in questions} | {e.id for e in exemplars} == {q.id for q in everything}
    assert not {q.id for q in questions} & {e.id for e in exemplars}


# ---------------------------------------------------------------------------------- exemplars


def chosen(choice, num_shots=4, benchmark="mmlu_medical", pool=POOL, questions=QUESTIONS, seed=0):
    design = Design(exemplar_choice=choice, seed=seed)
    return eval_fewshot.choose_exemplars(benchmark, questions, pool, num_shots, design)


@pytest.mark.parametrize("benchmark", ["toy", "mmlu_medical"])
def test_fixed_exemplars_are_the_same_for_all_questions_in_mmlu_of_a_subject(benchmark):
    exemplars = chosen("fixed", 8, benchmark)
    for question in QUESTIONS:
        others = "a0" if benchmark == "toy" else f"a{question.subset == 't':d}"
        assert exemplars[question.id] == exemplars[others]
        subsets = {exemplar.subset for exemplar in exemplars[question.id]}
        assert subsets == ({"s", "t"} if benchmark == "toy" else {question.subset})


def test_exemplars_per_question_differ_and_depend_on_the_seed():
    first = chosen("per_question")
    assert len({tuple(e.id for e in each) for each in first.values()}) > 5
    assert first == chosen("per_question") != chosen("per_question", seed=1)


def test_a_question_is_never_its_own_exemplar():
    exemplars = chosen("per_question", 4, pool=QUESTIONS)
    assert all(q.question not in {e.question for e in exemplars[q.id]} for q in QUESTIONS)


def test_more_shots_than_exemplars_are_rejected():
    with pytest.raises(ValueError, match="num_shots: 21 .* needed, but the pool of toy has 20;"):
        chosen("fixed", 21, "toy")
    with pytest.raises(ValueError, match="the pool of mmlu_medical, [st] has 10;"):
        chosen("fixed", 21)
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


def test_a_variant_hides_the_question_or_replaces_the_correct_option():
    hidden, replaced = (
        eval_fewshot.make_variant(FOUR, variant, 0)
        for variant in ("options_only", "none_of_the_above")
    )
    assert (hidden.options, hidden.answer, hidden.context) == (FOUR.options, 2, "")
    assert "Which?" not in hidden.question
    assert (replaced.options, replaced.answer) == (["w", "x", "None of the above", "z"], 2)


def test_every_variant_is_explained():
    design = Design(variants=["shuffled", "none_of_the_above"])
    first, second = eval_fewshot.explain_variants(design).splitlines()
    assert first.startswith("- `shuffled`: the options are in another order.")
    assert '"None of the above" replaces the correct option' in second
