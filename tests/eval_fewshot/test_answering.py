"""Step 03: the answers, and the arithmetic of the tables. Prompts are in test_protocols.py."""

import dataclasses

import pandas as pd
import pytest
from tests.support.project import Memory

from clinical_camel import data, eval_fewshot, models
from clinical_camel.data import Question

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
EXAMPLE = Question(id="e1", question="What?", options=["a", "b"], answer=0)
OPTION_TEXT, LETTER = (eval_fewshot.PROTOCOLS[name] for name in ("option_text", "letter"))


def design(protocols, num_shots=(0,), **others):
    return eval_fewshot.Design(protocols, num_shots, **others)


@pytest.fixture(scope="module")
def llm():
    return models.load("mini", {"base": ""})["base"]


def test_length_normalisation_divides_by_characters():
    row = eval_fewshot.read_scores(QUESTION, OPTION_TEXT, 9, [-1.0, -1.5])
    assert (row["predicted"], row["predicted_norm"]) == (0, 1)  # -1.0 > -1.5, but -0.75 > -1.0
    assert (row["correct"], row["correct_norm"]) == (False, True)


def test_letters_are_all_one_character_long():
    row = eval_fewshot.read_scores(QUESTION, LETTER, 9, [-1.0, -1.5])
    assert row["predicted_norm"] == row["predicted"] == 0


def test_a_question_that_does_not_fit_is_counted_and_not_answered(llm):
    long = Question(id="long", question="word " * 5000, options=["x", "y"], answer=0)
    answers = eval_fewshot.answer_all(
        {"base": llm}, {"toy": [QUESTION, long]}, {}, design(["option_text"]), 4096, Memory()
    )
    scores = eval_fewshot.score_table(answers, {"toy": [QUESTION, long]}, pd.DataFrame())
    assert answers.set_index("id").loc["long", ["fits", "predicted"]].tolist() == [False, -1]
    assert scores[["n", "too_long"]].to_numpy().tolist() == [[1, 1]]


def test_in_chat_a_letter_is_scored_with_the_space_that_the_template_puts_before_it(monkeypatch):
    llm = models.load("mini", {"base": ""})["base"]
    template = llm.tokenizer.chat_template
    spaced = template.replace("<|assistant|>{% gen", "<|assistant|> {% gen")
    assert spaced != template
    asked, score = {}, models.score

    def note(llm, pairs, *rest):
        asked[llm.tokenizer.chat_template] = {pair.continuation for pair in pairs}
        return score(llm, pairs, *rest)

    monkeypatch.setattr(models, "score", note)
    for llm.tokenizer.chat_template in (template, spaced):
        arguments = ({"toy": [QUESTION]}, {}, design(["chat_letter"]), 4096, Memory())
        eval_fewshot.answer_all({"base": llm}, *arguments)
    encode = llm.tokenizer.encode
    assert asked[template] == {tuple(encode(x, add_special_tokens=False)) for x in "AB"}
    assert asked[spaced] == {tuple(encode(f" {x}", add_special_tokens=False)) for x in "AB"}


def test_an_answer_in_the_journal_is_not_computed_again(llm, monkeypatch):
    journal = Memory()
    arguments = ({"toy": [QUESTION]}, {"toy": [EXAMPLE]}, design(["chat"], [1]), 4096)
    first = eval_fewshot.answer_all({"base": llm}, *arguments, journal)
    monkeypatch.setattr(models, "encode_pair", lambda *_: pytest.fail("asked again"))
    again = eval_fewshot.answer_all({"base": llm}, *arguments, journal)
    pd.testing.assert_frame_equal(first, again)


def answers_of(**right):
    """One answer a question for each model; True where it was right."""
    return pd.DataFrame(
        {
            "model": model,
            "benchmark": "toy",
            "variant": "as_given",
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
            "reply": "",
            "confidence": 0.5,
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


def test_a_table_for_the_page_has_percent_and_one_column_an_interval_and_nothing_idle():
    answers = answers_of(base=[True] * 8 + [False] * 2, tuned=[True] * 10)
    scores = eval_fewshot.score_table(answers, TOY, pd.DataFrame())
    page = eval_fewshot.readable(scores)
    assert list(page)[:6] == ["benchmark", "model", "n", "accuracy", "95 %", "chance"]
    row = ["toy", "base", 10, 80.0, "49.0\xa0to\xa094.3", 25.0]  # no line break in an interval
    assert page.iloc[0, :6].tolist() == row
    assert not {"variant", "too long", "low", "high", "cluster low"} & set(page)
    assert set(eval_fewshot.readable(scores.head(1))) > {"variant", "too long"}


def test_parts_of_a_benchmark_have_scores_of_their_own():
    questions = [
        Question(
            id=str(i), question="?" * (i + 1), options=list("ab"), answer=0, subset="st"[i % 2]
        )
        for i in range(6)
    ]
    answers = answers_of(base=[True, False] * 3)
    parts = eval_fewshot.by_group(answers, {"toy": questions}).set_index(["by", "part"])
    assert parts["accuracy"].loc["subset"].to_dict() == {"s": 1.0, "t": 0.0}
    assert parts["n"].loc["length"].to_dict() == {"long": 2, "middle": 2, "short": 2}
    assert "image" not in parts.index.get_level_values("by")  # no question has the mark


def test_models_are_compared_on_the_same_questions():
    answers = answers_of(base=[True, False, False, False], tuned=[True, True, True, True])
    row = eval_fewshot.compare(answers, TOY, "base", seed=0).iloc[0]
    assert (row["only_model_right"], row["only_baseline_right"]) == (3, 0)
    assert row["difference"] == 0.75
    assert row["p"] == pytest.approx(0.25)  # exact: 2 * (1/2) ** 3


def test_parts_are_of_the_first_variant_alone_so_that_none_is_averaged_with_another():
    questions = {
        "toy": [dataclasses.replace(q, subset="ab"[i % 2]) for i, q in enumerate(TOY["toy"])]
    }
    asked = answers_of(base=[True] * 10)
    both = pd.concat([asked, asked.assign(variant="options_only", correct=False)])
    parts = eval_fewshot.by_group(both, questions)
    assert set(parts["variant"]) == {"as_given"}
    assert parts["accuracy"].tolist() == [1.0] * 5  # two subsets, three lengths


@pytest.mark.parametrize("baseline", ["base", "tuned"])
def test_without_another_model_the_comparison_is_an_empty_table_that_can_be_saved(baseline):
    table = eval_fewshot.compare(answers_of(tuned=[True]), TOY, baseline, seed=0)
    assert (len(table), {"difference", "low", "p_holm"} <= set(table)) == (0, True)
    assert len(eval_fewshot.readable(table)) == 0


def together(size: int) -> dict[str, list[Question]]:
    """The toy questions, so many of them on one condition."""
    rows = enumerate(TOY["toy"])
    return {"toy": [dataclasses.replace(q, group=f"condition {i // size}") for i, q in rows]}


def test_questions_that_belong_together_are_compared_as_clusters():
    answers = answers_of(base=[False] * 10, tuned=[True] * 5 + [False] * 5)
    (alone, grouped) = (
        eval_fewshot.compare(answers, asked, "base", seed=0).iloc[0] for asked in (TOY, together(5))
    )
    assert (alone["clusters"], grouped["clusters"]) == (10, 2)
    assert alone["p"] == pytest.approx(2 * 0.5**5)  # five coins
    assert grouped["p"] == 1.0  # one coin: a condition is the tuned model's, the other nobody's
    assert grouped["high"] - grouped["low"] > alone["high"] - alone["low"]


def test_several_comparisons_are_allowed_for():
    two = [answers_of(base=[False] * 8, tuned=[True] * 8).assign(num_shots=n) for n in (0, 5)]
    found = eval_fewshot.compare(pd.concat(two), TOY, "base", seed=0)
    assert found["p_holm"].tolist() == pytest.approx([2 * p for p in found["p"]])


def test_a_score_says_how_many_clusters_it_is_on():
    answers = answers_of(base=[True] * 5 + [False] * 5)
    row = eval_fewshot.score_table(answers, together(5), pd.DataFrame()).iloc[0]
    alone = eval_fewshot.score_table(answers, TOY, pd.DataFrame()).iloc[0]
    assert (row["clusters"], alone["clusters"]) == (2, 10)
    assert row["cluster_low"] < 0.01  # two clusters say nothing
    assert row["cluster_high"] > 0.99
    assert pd.isna(alone["cluster_low"])


def test_calibration_counts_how_often_the_sure_are_right():
    answers = answers_of(base=[True, True, False, False]).assign(confidence=[0.9, 0.9, 0.9, 0.3])
    table = eval_fewshot.calibration_table(answers)
    assert table[["n", "accuracy"]].to_numpy().tolist() == [[1, 0.0], [3, pytest.approx(2 / 3)]]
    error = eval_fewshot.score_table(answers, TOY, pd.DataFrame())["calibration_error"].iloc[0]
    assert error == pytest.approx((0.3 * 1 + (0.9 - 2 / 3) * 3) / 4)


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
        (["options"], [0], [], "protocols: 'options' is not one of option_text, letter, "),
        (["letter"], [0, 5], [EXAMPLE], "num_shots: 5 asked for, but exemplars hold 1"),
        (["letter"], [1], [QUESTION], "is also one of its questions"),
    ],
)
def test_what_could_not_be_run_is_refused_before_a_model_is_loaded(
    protocols, shots, examples, message
):
    with pytest.raises(ValueError, match=message):
        eval_fewshot.plan({"toy": [QUESTION]}, {"toy": examples}, design(protocols, shots))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"variants": ["mixed"]}, "variants: 'mixed' is not one of as_given, shuffled"),
        ({"exemplar_choice": "random"}, "exemplar_choice: 'random' is not one of fixed, per_que"),
    ],
)
def test_a_design_names_what_it_does_not_know(others, message):
    with pytest.raises(ValueError, match=message):
        design(["letter"], **others)


# ------------------------------------------------------------------------------- by reply


def replying(monkeypatch, *rounds):
    """Replies in place of a model, a list for each try; returns the prompts that were sent."""
    sent, left = [], list(rounds)

    def generate(llm, prompts, **settings):
        sent.append((list(prompts), settings))
        for i, text in enumerate(left.pop(0)):
            yield i, text, True

    monkeypatch.setattr(models, "generate", generate)
    return sent


OTHER = Question(id="q2", question="Where?", options=["here", "there"], answer=0)


def test_a_reply_that_cannot_be_read_is_asked_for_again_with_another_draw(llm, monkeypatch):
    sent = replying(monkeypatch, ["no idea", "A: here"], ["B: yy"])
    answers = eval_fewshot.answer_all(
        {"base": llm}, {"toy": [QUESTION, OTHER]}, {}, design(["medalpaca"]), 4096, Memory()
    )
    assert answers["predicted"].tolist() == [1, 0]
    assert [len(prompts) for prompts, _ in sent] == [2, 1]
    assert [settings["seed"] for _, settings in sent] == [0, 1]
    assert sent[0][1]["temperature"] == 0.4


def test_a_reply_that_never_can_be_read_is_counted_apart(llm, monkeypatch):
    replying(monkeypatch, *[["no idea"]] * 5)
    asked = {"toy": [QUESTION]}
    answers = eval_fewshot.answer_all(
        {"base": llm}, asked, {}, design(["medalpaca"]), 4096, Memory()
    )
    row = eval_fewshot.score_table(answers, asked, pd.DataFrame()).iloc[0]
    assert (row["n"], row["unparsed"], row["accuracy"]) == (1, 1, 0.0)
    assert answers["reply"].tolist() == ["no idea"]


def test_the_shipped_base_replies(llm):
    asked = {"toy": [QUESTION, OTHER]}
    journal = Memory()
    first = eval_fewshot.answer_all(
        {"base": llm}, asked, {}, design(["medalpaca", "chat_reply"]), 4096, journal
    )
    assert first["fits"].all()
    again = eval_fewshot.answer_all(
        {"base": llm}, asked, {}, design(["medalpaca", "chat_reply"]), 1, Memory()
    )
    assert first["reply"].tolist() == again["reply"].tolist()  # whatever shares a batch


# ------------------------------------------------------------------------ killed, and gone on


@pytest.mark.parametrize("protocol", ["option_text", "chat_letter", "medalpaca"])
def test_a_run_that_was_killed_ends_in_the_same_table_and_asks_nothing_twice(
    protocol, llm, monkeypatch
):
    short = dataclasses.replace(eval_fewshot.PROTOCOLS["medalpaca"], decoding={"max_new_tokens": 9})
    monkeypatch.setitem(eval_fewshot.PROTOCOLS, "medalpaca", short)
    questions = [
        dataclasses.replace(QUESTION, id=f"q{i}", question=f"Is it {'really ' * i}{i}?")
        for i in range(7)
    ]
    arguments = ({"base": llm}, {"toy": questions}, {}, design([protocol]), 200)
    whole = Memory()
    first = eval_fewshot.answer_all(*arguments, whole)
    for kept in range(1, len(whole.done), max(1, len(whole.done) // 4)):
        killed = Memory()
        killed.done = dict(list(whole.done.items())[:kept])
        again = eval_fewshot.answer_all(*arguments, killed)
        pd.testing.assert_frame_equal(first, again)
        assert killed.done == whole.done
    monkeypatch.setattr(type(llm.model), "forward", None)
    pd.testing.assert_frame_equal(first, eval_fewshot.answer_all(*arguments, whole))


def test_where_there_are_no_examples_some_questions_become_them_and_are_not_scored():
    questions, pools = eval_fewshot.take_exemplars(TOY, {"toy": []}, 3)
    assert (len(questions["toy"]), len(pools["toy"])) == (7, 3)
    assert not {q.id for q in questions["toy"]} & {e.id for e in pools["toy"]}


def test_examples_of_their_own_leave_the_questions_whole():
    questions, pools = eval_fewshot.take_exemplars(TOY, {"toy": [EXAMPLE]}, 3)
    assert (len(questions["toy"]), pools["toy"]) == (10, [EXAMPLE])


def test_a_failure_shows_the_right_and_the_chosen_option():
    text = eval_fewshot.failures(answers_of(base=[True, False]), TOY, "base", 3)
    assert text.count("toy, option_text") == 1
    assert "(A) a" in text
    assert text.index("right") < text.index("chosen")


def test_other_questions_mean_another_fingerprint():
    one = eval_fewshot.fingerprint({"toy": [QUESTION]}, {})
    assert one != eval_fewshot.fingerprint({"toy": [EXAMPLE]}, {})
    assert one == eval_fewshot.fingerprint({"toy": [QUESTION]}, {})
