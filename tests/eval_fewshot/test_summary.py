"""What we saw: the study decides the question, and the tables decide the answer."""

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot, exam_results
from clinical_camel.core.settings import Incomplete
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import Design

QUESTIONS = [
    Question(id=str(i), question="?", options=["a", "bb", "cc", "dd"], answer=i % 4)
    for i in range(40)
]
FOLDER = "outputs/mini_camel/02_sft_qlora/adapter"


def first(count: int, n: int = 40) -> list[bool]:
    return [i < count for i in range(n)]


def describe(*answers, trainings=None, **settings):
    """The sentences about answers; the settings are those of a study on the exam `toy`."""
    table = pd.concat(answers, ignore_index=True)
    questions = {name: QUESTIONS for name in table["benchmark"].unique()}
    design = Design(**{"num_shots": [0]} | settings)
    scores = eval_fewshot.compute_scores(table, questions)
    comparison = exam_results.compare_models(table, questions, design.baseline, seed=0)
    return eval_fewshot.describe_results(design, scores, comparison, trainings)


BASE_AND_TUNED = {"adapters": {"base": "", "tuned": FOLDER}}
TWO_TUNED = {"adapters": {"base": "", "raw": f"{FOLDER}_raw", "dialogues": FOLDER}}
TWO_TUNED |= {"baseline": "raw"}
VARIANTS = BASE_AND_TUNED | {"variants": ["as_given", "options_only", "none_of_the_above"]}


@pytest.mark.parametrize(
    ("settings", "question"),
    [
        (BASE_AND_TUNED, "Does `tuned` know more than `base`?"),
        (TWO_TUNED, "Which training teaches the model more: `dialogues` or `raw`?"),
        (VARIANTS, "Does `tuned` know more than `base`?"),
        (
            {"adapters": {"tuned": FOLDER}, "baseline": "tuned"},
            "How much does the score of `tuned` depend on the way of asking?",
        ),
    ],
)
def test_the_study_decides_the_question(settings, question):
    assert eval_fewshot.ask_question(Design(**settings)) == question


# ----------------------------------------------------------------------------- base and tuned


def test_a_significant_difference_is_an_answer_with_n_interval_chance_and_p():
    question, answer, *_ = describe(answers_of(base=first(8), tuned=first(30)), **BASE_AND_TUNED)
    assert question == "Does `tuned` know more than `base`?"
    assert answer == (
        "**`tuned` knows more than `base`.** On `toy`, asked as option_text, 0-shot, `tuned` "
        "answers 75.0 [59.8, 85.8] % correctly and `base` 20.0 [10.5, 34.8] % (n = 40, chance "
        "25.0 %). The difference is 55.0 points [40.0, 70.0] (p < 0.0001)."
    )


@pytest.mark.parametrize(
    ("correct", "verdict", "detail"),
    [
        (12, "This study cannot tell whether `tuned` knows more", "which is not significant (p"),
        (8, "This study cannot tell whether `tuned` knows more", "0.0 points [0.0, 0.0]"),
        (0, "`tuned` knows less than `base`", "-20.0 points"),
    ],
)
def test_what_is_not_significant_or_negative_is_no_success(correct, verdict, detail):
    answer = describe(answers_of(base=first(8), tuned=first(correct)), **BASE_AND_TUNED)[1]
    assert verdict in answer
    assert detail in answer


def test_the_smallest_detectable_difference_is_stated():
    tuned = [10 <= i < 27 for i in range(40)]
    answer = describe(answers_of(base=first(15), tuned=tuned), **BASE_AND_TUNED)[1]
    assert "a true difference below 32.9 points" in answer


def test_many_comparisons_are_adjusted_for():
    """One of ten evaluations differs, with p below 0.05 alone and above it after adjustment."""
    evaluations = [
        answers_of(base=first(8), tuned=first(14 if k == 0 else 8)).assign(num_shots=k)
        for k in range(10)
    ]
    parts = (evaluations[:1], evaluations)
    alone, among_ten = (describe(*part, **BASE_AND_TUNED)[1] for part in parts)
    assert "knows more than" in alone.partition("**")[2].partition("**")[0]
    assert "This study cannot tell" in among_ten
    assert "adjusted for 10 comparisons" in among_ten


def test_protocols_without_a_difference_are_named():
    plain = answers_of(base=first(8), tuned=first(30))
    chat = answers_of(base=first(9), tuned=first(10)).assign(protocol="chat")
    text = "\n".join(describe(plain, chat, **BASE_AND_TUNED))
    verdict = "**On `toy`, `tuned` is better than `base` in 1 of 2 ways of asking; no significant "
    assert f"{verdict}difference in the other 1.**" in text
    assert "No significant difference on `toy` in chat, 0-shot: 2.5 points" in text
    assert "Nor does it show that the difference depends on the way of asking" in text
    assert "Above chance on `toy` (n = 40, chance 25.0 %): `base` in none of 2 ways" in text
    assert "`tuned` in 1 of 2 ways of asking (1 after adjustment for all evaluations), best" in text


def test_every_further_exam_has_its_verdict_and_halves_are_named():
    gain = answers_of(base=first(8), tuned=first(30))
    same = answers_of("medqa_us", base=first(8), tuned=first(9))
    lost = answers_of("old", base=first(38), tuned=first(4))
    benchmarks = ["mini_exam", "medqa_us@data/public/medqa_us/medqa_us_test_shared.jsonl"]
    settings = BASE_AND_TUNED | {"benchmarks": benchmarks, "exemplars": {}}
    text = "\n".join(describe(gain, same, lost, **settings))
    assert "**`tuned` knows more than `base`.** On `toy`" in text
    better = "`tuned` is significantly better than `base` in 0 and worse in"
    assert f"On `medqa_us` (n = 40), {better} 0 of 1 ways of asking." in text
    assert f"On `old` (n = 40), {better} 1 of 1 ways of asking (option_text, 0-shot: -85.0" in text
    assert "Development scores, not test scores: `medqa_us`. These questions are half" in text


def test_better_in_one_and_worse_in_another_way_of_asking_are_both_in_the_verdict():
    plain = answers_of(base=first(8), tuned=first(30))
    chat = answers_of(base=first(30), tuned=first(8)).assign(protocol="chat")
    verdict = "better than `base` in 1 and worse than `base` in 1 of 2 ways of asking.**"
    assert verdict in describe(plain, chat, **BASE_AND_TUNED)[1]


def test_forgetting_has_a_sentence():
    gain = answers_of(base=first(8), tuned=first(30))
    loss = answers_of("old", base=first(32), tuned=first(9))
    text = "\n".join(describe(gain, loss, **BASE_AND_TUNED))
    assert "Forgetting: on `old`, option_text, 0-shot, `base` answers 80.0 [" in text
    assert "% correctly, `tuned` 22.5 [" in text


def test_two_models_that_give_one_answer_did_not_forget():
    gain = answers_of(base=first(8), tuned=first(30))
    loss = answers_of("old", base=first(32), tuned=first(9)).assign(answer=0)
    loss["predicted"] = loss["correct"].map({True: 0, False: 1})
    text = "\n".join(describe(gain, loss, **BASE_AND_TUNED))
    assert "Forgetting" not in text
    constant = loss.assign(predicted=0)
    assert "`old`, option_text, 0-shot (`base` 100.0 %, `tuned` 100.0 %)" in "\n".join(
        describe(gain, constant, **BASE_AND_TUNED)
    )


def test_forgetting_names_each_tuned_model_even_if_the_base_is_not_the_reference():
    gain = answers_of(base=first(8), raw=first(14), dialogues=first(34))
    loss = answers_of("old", base=first(38), raw=first(9), dialogues=first(8))
    (sentence,) = [s for s in describe(gain, loss, **TWO_TUNED) if s.startswith("Forgetting")]
    assert "`raw` 22.5 [" in sentence
    assert "and `dialogues` 20.0 [" in sentence
    same = answers_of("old", base=first(38), raw=first(37), dialogues=first(36))
    assert "Forgetting" not in "\n".join(describe(gain, same, **TWO_TUNED))


# --------------------------------------------------------------------------- the other questions


def test_two_trainings_are_compared_with_each_other_and_not_with_the_base():
    answers = answers_of(base=first(8), raw=first(14), dialogues=first(34))
    sentences = describe(answers, **TWO_TUNED)
    assert sentences[1].startswith("**`dialogues` teaches more than `raw`.** On `toy`")
    assert "`dialogues` answers 85.0 [" in sentences[1]
    assert "and `raw` 35.0 [" in sentences[1]
    assert "difference is 50.0 points" in sentences[1]
    assert sentences[2].startswith("Asked in the same way, `base` answers 20.0 [")
    assert "minus `raw` is -15.0 points" in sentences[2]


def test_unequal_trainings_are_in_the_answer():
    answers = answers_of(base=first(8), raw=first(14), dialogues=first(34))
    rows = [("raw", "mini_articles", 231, 80347, 6.0, 630), ("raw", "mini_chat", 90, 5, 6.0, 630)]
    rows += [("dialogues", "my/d.jsonl", 345, 80287, 6.0, 798)]
    columns = ["model", "source", "rows", "target_tokens", "epochs", "steps"]
    text = "\n".join(describe(answers, trainings=pd.DataFrame(rows, columns=columns), **TWO_TUNED))
    assert "Only `dialogues` was trained on `d` (345 rows). Only `raw` was trained on" in text
    assert "on `mini_articles` (231 rows) and `mini_chat` (90 rows)." in text
    assert "Target tokens per epoch: 80,287 and 80,352; steps: 798 and 630 (`dialogues` fi" in text


def test_one_model_in_several_protocols_has_its_range():
    parts = [
        answers_of(tuned=first(k)).assign(protocol=name)
        for k, name in ((30, "letter"), (8, "chat"))
    ]
    answer = describe(*parts, adapters={"tuned": FOLDER}, baseline="tuned")[1]
    assert answer.startswith("**The way of asking changes the score of the same model.**")
    assert "`toy` 20.0 (chat, 0-shot) to 75.0 (letter, 0-shot)" in answer


# ------------------------------------------------------------------------ answers that are missing


def test_unread_replies_and_long_prompts_have_sentences():
    answers = answers_of(base=first(8), tuned=first(8))
    answers.loc[answers["id"].isin(["38", "39"]), "predicted"] = -1
    answers.loc[answers["id"] == "37", "fits"] = False
    text = "\n".join(describe(answers, **BASE_AND_TUNED))
    assert "4 of 78 answers are unread replies, which count as incorrect" in text
    assert "2 prompts were too long for the model and are not in n." in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fits": False}, "no question was answered: all 80 prompts are longer"),
        ({"predicted": -1, "correct": False}, "no reply was read: none of the 80 replies"),
    ],
)
def test_a_study_without_an_answer_is_incomplete(change, reason):
    answers = answers_of(base=first(8), tuned=first(30))
    complete = eval_fewshot.compute_scores(answers, {"toy": QUESTIONS})
    assert eval_fewshot.check_answers(complete) == []
    scores = eval_fewshot.compute_scores(answers.assign(**change), {"toy": QUESTIONS})
    with pytest.raises(Incomplete, match=reason):
        eval_fewshot.require_answers(scores)


def test_a_study_with_few_answers_is_incomplete():
    answers = answers_of(base=first(8)).assign(fits=first(19))
    (problem,) = eval_fewshot.check_answers(
        eval_fewshot.compute_scores(answers, {"toy": QUESTIONS})
    )
    assert problem.startswith("only 19 of 40 questions were answered: ")


def test_protocols_that_ask_alike_are_one_way_of_asking():
    names = ["option_text", "harness_2023", "harness_now"]
    same = {"base": first(10), "tuned": first(36)}
    answers = [answers_of("pubmedqa", **same).assign(protocol=name) for name in names]
    text = "\n".join(describe(*answers))
    assert "**`tuned` knows more than `base`.**" in text
    assert "adjusted for 3 comparisons" in text  # of the table
    assert "in 1 of 1 way of asking" in text


def test_only_the_first_variant_counts_and_step_09_is_named_for_the_others():
    unchanged = answers_of(base=first(10), tuned=first(36))
    hidden = answers_of(base=first(38), tuned=first(4)).assign(variant="options_only")
    sentences = describe(unchanged, hidden, **VARIANTS)
    assert sentences[1].startswith("**`tuned` knows more than `base`.**")
    assert "adjusted for 2 comparisons" in sentences[1]  # of the table
    text = "\n".join(sentences)
    assert "(`options_only`, `none_of_the_above`); step 09 says what their scores mean." in text
    assert "95.0" not in text
