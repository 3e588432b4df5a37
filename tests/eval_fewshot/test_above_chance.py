"""Each exam has a sentence on guessing: by its own interval, n and chance."""

from tests.support.toy_scores import scores

from clinical_camel.eval_fewshot.above_chance import (
    describe_above_chance,
    describe_halves,
    describe_one_answer,
)


def describe(*rows):
    table = scores(*rows)
    return list(describe_above_chance(table.assign(p_chance=(table["low"] < 0.25).astype(float))))


def test_each_exam_names_each_model_with_n_interval_and_chance():
    sentences = describe(
        {"model": "base", "correct": 330},
        {"model": "base", "correct": 400, "protocol": "chat", "num_shots": 0},
        {"model": "tuned", "correct": 310},
        {"model": "tuned", "correct": 325, "protocol": "chat", "num_shots": 0},
        {"model": "base", "benchmark": "medmcqa", "n": 100, "correct": 34},
    )
    assert sentences == [
        "Above chance on `medqa_us` (n = 1,273, chance 25.0 %): `base` in 1 of 2 ways of asking "
        "(1 after adjustment for all evaluations), best in chat, 0-shot: 31.4 [28.9, 34.0] %; "
        "`tuned` in none of 2 ways of asking. But always choosing the most frequent answer gives "
        "30.0 %, so this is no sign of knowledge.",
        "Above chance on `medmcqa` (n = 100, chance 25.0 %): `base` in 1 of 1 way of asking (1 "
        "after adjustment for all evaluations), best in harness_2023, 5-shot: 34.0 [25.5, 43.7] %. "
        "But always choosing the most frequent answer gives 30.0 %, so this is no sign of "
        "knowledge.",
    ]


def test_protocols_that_ask_alike_on_an_exam_count_once():
    names = ["option_text", "harness_2023", "harness_now"]
    rows = [{"benchmark": "pubmedqa", "protocol": p, "n": 100, "correct": 40} for p in names]
    (sentence,) = describe(*rows)
    assert "`tuned` in 1 of 1 way of asking (1 after" in sentence
    (sentence,) = describe(*[row | {"benchmark": "medqa_us"} for row in rows])
    assert "`tuned` in 3 of 3 ways of asking (3 after" in sentence


def test_protocols_that_ask_alike_count_once_in_the_adjustment():
    names = ["option_text", "harness_2023", "harness_now"]
    rows = [{"benchmark": "pubmedqa", "protocol": p, "n": 100, "correct": 40} for p in names]
    (sentence,) = describe_above_chance(scores(*rows).assign(p_chance=0.02))
    assert "(1 after adjustment" in sentence


def test_free_answers_have_their_own_chance_and_no_majority():
    (sentence,) = describe(
        {"protocol": "option_text", "correct": 330},
        {"protocol": "plain_reply", "correct": 400, "chance": 0.0, "majority": float("nan")},
    )
    assert "chance 25.0 %, of free answers 0 %): `tuned` in 1 of 2 ways of asking" in sentence
    assert sentence.endswith("best in plain_reply, 5-shot: 31.4 [28.9, 34.0] %.")
    (sentence,) = describe({"protocol": "plain_reply", "correct": 4, "chance": 0.0})
    assert "chance 0.0 %" in sentence


def test_a_score_above_the_most_frequent_answer_stands_without_remark():
    (sentence,) = describe({"correct": 500})
    assert sentence.endswith("harness_2023, 5-shot: 39.3 [36.6, 42.0] %.")


def test_the_adjustment_covers_the_evaluations_of_all_exams():
    rows = [{"benchmark": f"exam{i}", "n": 100, "correct": 34} for i in range(20)]
    table = scores(*rows).assign(p_chance=0.02)
    (first, *_) = describe_above_chance(table)
    assert "in 1 of 1 way of asking (0 after adjustment for all evaluations)" in first


def test_prompts_of_different_length_give_a_range_of_n():
    (sentence,) = describe({}, {"num_shots": 0, "n": 1000, "correct": 250})
    assert "(n = 1,000 to 1,273, chance 25.0 %)" in sentence
    assert describe({"n": 0, "correct": 0}) == []


def test_only_halves_of_public_sets_are_development_scores():
    assert list(describe_halves(["mini_exam", "medqa_us", "my/exam.jsonl"])) == []
    (sentence,) = describe_halves(
        ["medmcqa@data/public/medmcqa/medmcqa_validation_shared.jsonl", "mini_exam"]
    )
    assert sentence.startswith("Development scores, not test scores: `medmcqa`.")


def test_scores_of_one_answer_for_nearly_all_questions_are_named():
    table = scores({"model": "base", "most_chosen": 1.0}, {"model": "tuned", "most_chosen": 0.5})
    (sentence,) = describe_one_answer(table)
    assert "`medqa_us`, harness_2023, 5-shot (`base` 100.0 %)." in sentence
    assert "neither learning nor forgetting" in sentence
    assert not [*describe_one_answer(table.assign(most_chosen=0.5))]
    assert not [*describe_one_answer(table.drop(columns="most_chosen"))]  # an earlier table
