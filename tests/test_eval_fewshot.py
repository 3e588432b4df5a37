"""Step 03: the prompt, the choice, and the arithmetic of the tables."""

import pandas as pd
import pytest
from conftest import Memory

from clinical_camel import data, eval_fewshot, models
from clinical_camel.data import Question

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
EXAMPLE = Question(id="e1", question="What?", options=["a", "b"], answer=0)
OPTION_TEXT, LETTER, CHAT = (
    eval_fewshot.PROTOCOLS[name] for name in ("option_text", "letter", "chat")
)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def test_the_prompt_ends_where_the_model_must_answer():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], OPTION_TEXT)
    assert prompt == "Question: What?\nAnswer: a\n\nQuestion: Which?\nAnswer:"


def test_the_letter_prompt_lists_the_options_and_answers_with_a_letter():
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], LETTER)
    assert prompt.startswith("Question: What?\nA. a\nB. b\nAnswer: A\n\n")
    assert eval_fewshot.continuations(QUESTION, LETTER) == [" A", " B"]


def test_a_context_stands_before_its_question():
    question = Question(id="1", question="Q?", options=["yes", "no"], answer=0, context="Text.")
    prompt = eval_fewshot.build_prompt(question, [], OPTION_TEXT)
    assert prompt == "Abstract: Text.\nQuestion: Q?\nAnswer:"


def test_in_chat_the_example_is_an_earlier_exchange_and_the_reply_starts_without_a_space(llm):
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], CHAT, llm.tokenizer)
    assert prompt == (
        "<s><|user|>What?\n(A) a\n(B) b<|end|><|assistant|>a</s>"
        "<|user|>Which?\n(A) x\n(B) yy<|end|><|assistant|>"
    )
    assert eval_fewshot.continuations(QUESTION, CHAT) == ["x", "yy"]


def test_in_conversation_the_options_are_not_listed(llm):
    protocol = eval_fewshot.PROTOCOLS["conversation"]
    prompt = eval_fewshot.build_prompt(QUESTION, [EXAMPLE], protocol, llm.tokenizer)
    assert prompt == ("<s><|user|>What?<|end|><|assistant|>a</s><|user|>Which?<|end|><|assistant|>")
    assert eval_fewshot.continuations(QUESTION, protocol) == ["x", "yy"]


def test_length_normalisation_divides_by_characters():
    pairs = [models.Pair((1,), (2,))] * 2
    row = eval_fewshot.read_answer(QUESTION, OPTION_TEXT, pairs, [-1.0, -1.5])
    assert (row["predicted"], row["predicted_norm"]) == (0, 1)  # -1.0 > -1.5, but -0.75 > -1.0
    assert (row["correct"], row["correct_norm"]) == (False, True)


def test_letters_are_all_one_character_long():
    pairs = [models.Pair((1,), (2,))] * 2
    row = eval_fewshot.read_answer(QUESTION, LETTER, pairs, [-1.0, -1.5])
    assert row["predicted_norm"] == row["predicted"] == 0


def test_a_question_that_does_not_fit_is_counted_and_not_answered(llm):
    long = Question(id="long", question="word " * 5000, options=["x", "y"], answer=0)
    answers = eval_fewshot.answer_all(
        {"base": llm}, {"toy": [QUESTION, long]}, {}, ["option_text"], [0], 4096, Memory()
    )
    scores = eval_fewshot.score_table(answers, {"toy": [QUESTION, long]}, pd.DataFrame())
    assert answers.set_index("id").loc["long", ["fits", "predicted"]].tolist() == [False, -1]
    assert scores[["n", "too_long"]].to_numpy().tolist() == [[1, 1]]


def test_an_answer_in_the_journal_is_not_computed_again(llm, monkeypatch):
    journal, arguments = Memory(), ({"toy": [QUESTION]}, {"toy": [EXAMPLE]}, ["chat"], [1], 4096)
    first = eval_fewshot.answer_all({"base": llm}, *arguments, journal)
    monkeypatch.setattr(models, "score", None)
    monkeypatch.setattr(
        eval_fewshot.answering,
        "score_questions",
        lambda llm, todo, *rest: iter([(q, None, None) for q in todo]),
    )
    again = eval_fewshot.answer_all({"base": llm}, *arguments, journal)
    pd.testing.assert_frame_equal(first, again)


def answers_of(**right):
    """One answer a question for each model; True where it was right."""
    return pd.DataFrame(
        {
            "model": model,
            "benchmark": "toy",
            "protocol": "option_text",
            "num_shots": 0,
            "id": str(i),
            "subset": "",
            "content_hash": "",
            "answer": 0,
            "predicted": 0 if correct else 1,
            "predicted_norm": 0,
            "correct": correct,
            "correct_norm": True,
            "fits": True,
            "tokens": 1,
            "logprobs": "-1.0 -2.0 -3.0 -4.0",
        }
        for model, each in right.items()
        for i, correct in enumerate(each)
    )


TOY = {
    "toy": [Question(id=str(i), question="?", options=list("abcd"), answer=0) for i in range(10)]
}


def test_accuracy_stands_beside_its_interval_and_chance():
    answers = answers_of(base=[True] * 8 + [False] * 2)
    row = eval_fewshot.score_table(answers, TOY, pd.DataFrame()).iloc[0]
    assert row["accuracy"] == 0.8
    assert (round(row["low"], 3), round(row["high"], 3)) == (0.490, 0.943)  # Wilson, 8 of 10
    assert row["chance"] == 0.25
    assert row["majority"] == 1.0  # every right answer stands first in this toy


def test_models_are_compared_on_the_same_questions():
    answers = answers_of(base=[True, False, False, False], tuned=[True, True, True, True])
    row = eval_fewshot.compare(answers, "base", seed=0).iloc[0]
    assert (row["only_model_right"], row["only_baseline_right"]) == (3, 0)
    assert row["difference"] == 0.75
    assert row["p"] == pytest.approx(0.25)  # exact: 2 * (1/2) ** 3


def test_no_comparison_is_made_without_the_baseline():
    assert eval_fewshot.compare(answers_of(tuned=[True]), "base", seed=0).empty


def test_a_published_value_is_joined_by_benchmark_and_shots_only_where_asked():
    answers = answers_of(base=[True] * 10)
    published = pd.DataFrame(
        {"benchmark": ["toy"] * 2, "num_shots": [0, 5], "published": [0.5, 0.6]}
    )
    joined = eval_fewshot.score_table(answers, TOY, published)
    assert joined["published"].tolist() == [0.5]
    assert "published" not in eval_fewshot.score_table(answers, TOY, pd.DataFrame())


def test_published_rows_keep_their_status():
    rows = eval_fewshot.published_rows(data.load_published(), "clinical_camel:70b")
    medqa = rows[(rows["benchmark"] == "medqa_us") & (rows["num_shots"] == 5)].iloc[0]
    assert medqa["published"] == pytest.approx(0.607)
    assert medqa["published_status"].startswith("confirmed")


def test_an_unknown_published_system_is_refused():
    with pytest.raises(ValueError, match="published_system: 'camel' is not one of"):
        eval_fewshot.published_rows(data.load_published(), "camel")


@pytest.mark.parametrize(
    ("protocols", "shots", "examples", "message"),
    [
        (
            ["options"],
            [0],
            [],
            "protocols: 'options' is not one of option_text, letter, chat, conversation",
        ),
        (["letter"], [0, 5], [EXAMPLE], "num_shots: 5 asked for, but exemplars hold 1"),
        (["letter"], [1], [QUESTION], "is also one of its questions"),
    ],
)
def test_what_could_not_be_run_is_refused_before_a_model_is_loaded(
    protocols, shots, examples, message
):
    with pytest.raises(ValueError, match=message):
        eval_fewshot.plan({"toy": [QUESTION]}, {"toy": examples}, protocols, shots)


def test_a_failure_shows_the_right_and_the_chosen_option():
    text = eval_fewshot.failures(answers_of(base=[True, False]), TOY, "base", 3)
    assert text.count("toy, option_text") == 1
    assert "(A) a" in text
    assert text.index("right") < text.index("chosen")


def test_other_questions_mean_another_fingerprint():
    one = eval_fewshot.fingerprint({"toy": [QUESTION]}, {})
    assert one != eval_fewshot.fingerprint({"toy": [EXAMPLE]}, {})
    assert one == eval_fewshot.fingerprint({"toy": [QUESTION]}, {})
