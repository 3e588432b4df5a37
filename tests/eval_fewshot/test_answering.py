"""Answers by likelihood and by reply; resumed runs."""

import dataclasses

import pandas as pd
import pytest
from tests.support.project import Memory

from clinical_camel import eval_fewshot, models
from clinical_camel.data import Question
from clinical_camel.eval_fewshot import PROTOCOLS, answering, exact_match

QUESTION = Question(id="q1", question="Which?", options=["x", "yy"], answer=1, subset="s")
OTHER = Question(id="q2", question="Where?", options=["here", "there"], answer=0)
EXEMPLAR = Question(id="e1", question="What?", options=["a", "b"], answer=0)
LONG = Question(id="long", question="word " * 5000, options=["x", "y"], answer=0)


def answer(llm, questions, protocols, num_shots=(0,), journal=None, token_budget=4096):
    """The answers of one model to a toy benchmark."""
    settings = {"num_shots": list(num_shots), "token_budget": token_budget}
    design = eval_fewshot.Design(protocols=list(protocols), **settings)
    exam = ({"toy": questions}, {"toy": [EXEMPLAR]})
    return eval_fewshot.answer_all({"base": llm}, *exam, design, journal or Memory())


def test_length_normalisation_divides_by_characters_and_a_letter_has_one():
    row, letter = (
        answering.answer_from_logprobs(QUESTION, PROTOCOLS[name], 9, [-1.0, -1.5])
        for name in ("option_text", "letter")
    )
    assert (row["predicted"], row["predicted_norm"]) == (0, 1)  # -1.0 > -1.5, but -0.75 > -1.0
    assert (row["correct"], row["correct_norm"]) == (False, True)
    assert letter["predicted_norm"] == letter["predicted"] == 0


def test_outer_white_space_of_an_option_counts_as_characters_as_in_the_harness():
    spaced = dataclasses.replace(QUESTION, options=["x  ", "yy"])
    row = answering.answer_from_logprobs(spaced, PROTOCOLS["option_text"], 9, [-1.5, -1.1])
    assert row["predicted_norm"] == 0  # -1.5 / 3 > -1.1 / 2


def test_an_answer_states_whether_it_is_the_shortest_option():
    answers = [
        answering.answer_from_logprobs(QUESTION, PROTOCOLS["option_text"], 9, logprobs)
        for logprobs in ([-1.0, -2.0], [-2.0, -1.0])
    ]
    assert [row["picked_shortest"] for row in answers] == [True, False]


def test_a_question_longer_than_the_context_is_counted_and_not_answered(llm):
    answers = answer(llm, [QUESTION, LONG], ["option_text"])
    scores = eval_fewshot.compute_scores(answers, {"toy": [QUESTION, LONG]})
    assert answers.set_index("id").loc["long", ["fits", "predicted"]].tolist() == [False, -1]
    assert scores[["n", "too_long"]].to_numpy().tolist() == [[1, 1]]


def test_a_letter_in_chat_is_scored_with_the_space_that_the_template_puts_before_it(monkeypatch):
    llm = models.load("mini", {"base": ""})["base"]
    template = llm.tokenizer.chat_template
    spaced = template.replace("<|assistant|>{% gen", "<|assistant|> {% gen")
    assert spaced != template
    continuations, score_pairs = {}, models.score_pairs

    def record(llm, pairs, *rest):
        continuations[llm.tokenizer.chat_template] = {pair.continuation for pair in pairs}
        return score_pairs(llm, pairs, *rest)

    monkeypatch.setattr(models, "score_pairs", record)
    for llm.tokenizer.chat_template in (template, spaced):
        answer(llm, [QUESTION], ["chat_letter"])
    encode = llm.tokenizer.encode
    assert continuations[template] == {tuple(encode(x, add_special_tokens=False)) for x in "AB"}
    expected = {tuple(encode(f" {x}", add_special_tokens=False)) for x in "AB"}
    assert continuations[spaced] == expected


# ------------------------------------------------------------------------------------- by reply


def mock_replies(monkeypatch, *rounds):
    """Replace generation by replies, a list per attempt; return the prompts as they are sent."""
    requests, replies = [], list(rounds)

    def generate(llm, prompts, decoding, *, seed, **settings):
        requests.append((list(prompts), decoding, seed))
        for i, text in enumerate(replies.pop(0)):
            yield i, text, True

    monkeypatch.setattr(models, "generate", generate)
    return requests


def test_an_unparsed_reply_is_generated_again_with_another_seed(llm, monkeypatch):
    requests = mock_replies(monkeypatch, ["no idea", "A: here"], ["B: yy"])
    answers = answer(llm, [QUESTION, OTHER], ["medalpaca"])
    assert answers["predicted"].tolist() == [1, 0]
    assert [len(prompts) for prompts, _, _ in requests] == [2, 1]
    assert [seed for _, _, seed in requests] == [0, 1]
    assert requests[0][1].temperature == 0.4


def test_a_reply_that_is_never_parsed_is_counted(llm, monkeypatch):
    mock_replies(monkeypatch, *[["no idea"]] * 5)
    answers = answer(llm, [QUESTION], ["medalpaca"])
    row = eval_fewshot.compute_scores(answers, {"toy": [QUESTION]}).iloc[0]
    assert (row["n"], row["unparsed"], row["accuracy"]) == (1, 1, 0.0)
    assert answers["reply"].tolist() == ["no idea"]


def test_replies_of_the_mini_base_do_not_depend_on_the_batch(llm):
    first, second = (
        answer(llm, [QUESTION, OTHER], ["medalpaca", "chat_reply"], token_budget=budget)
        for budget in (4096, 64)
    )
    assert first["fits"].all()
    assert first["reply"].tolist() == second["reply"].tolist()


def test_a_free_answer_is_compared_with_the_text_of_the_correct_option(llm, monkeypatch):
    mock_replies(monkeypatch, ["The YY.\nQuestion: Why?", "It is here."])
    table = answer(llm, [QUESTION, OTHER], ["plain_reply"]).set_index("id")
    assert table["predicted"].tolist() == [1, exact_match.OTHER]
    assert table["correct"].tolist() == [True, False]
    assert table["contains"].tolist() == [True, True]
    assert table["complete"].tolist() == [True, True]
    scores = eval_fewshot.compute_scores(table.reset_index(), {"toy": [QUESTION, OTHER]}).iloc[0]
    assert (scores["accuracy"], scores["chance"], scores["unparsed"]) == (0.5, 0.0, 0)
    assert scores[["majority", "shortest", "calibration_error"]].isna().all()


@pytest.mark.parametrize(
    ("reply_protocol", "protocol"),
    [("plain_reply", "option_text"), ("conversation_reply", "conversation")],
)
def test_the_log_probability_of_the_answer_is_that_of_the_option(
    reply_protocol, protocol, llm, monkeypatch
):
    mock_replies(monkeypatch, ["yy", "here"])
    free = answer(llm, [QUESTION, OTHER], [reply_protocol])
    scored = answer(llm, [QUESTION, OTHER], [protocol])
    for row, other in zip(free.itertuples(), scored.itertuples(), strict=True):
        expected = float(other.logprobs.split()[row.answer])
        assert row.answer_logprob == pytest.approx(expected, abs=1e-4)
    assert free["answer_tokens"].tolist() == [
        len(llm.tokenizer.encode(text, add_special_tokens=False))
        for text in ((" yy", " here") if protocol == "option_text" else ("yy", "here"))
    ]


def test_an_empty_free_answer_is_unread(llm, monkeypatch):
    mock_replies(monkeypatch, [""])
    answers = answer(llm, [QUESTION], ["plain_reply"])
    scores = eval_fewshot.compute_scores(answers, {"toy": [QUESTION]}).iloc[0]
    assert (scores["unparsed"], scores["accuracy"]) == (1, 0.0)


def test_tables_without_free_answers_have_no_column_of_theirs(llm):
    answers = answer(llm, [QUESTION], ["option_text"])
    assert not set(answering.FREE_COLUMNS) & set(answers)


def test_an_exam_is_asked_only_in_the_protocols_that_fit_it(llm):
    design = eval_fewshot.Design(
        benchmarks=["mini_exam", "mini_exam_cloze"],
        protocols=["option_text", "cloze"],
        num_shots=[0],
        exemplars={},
    )
    exam = {"mini_exam": [QUESTION], "mini_exam_cloze": [QUESTION]}
    answers = eval_fewshot.answer_all({"base": llm}, exam, {}, design, Memory())
    pairs = list(zip(answers["benchmark"], answers["protocol"], strict=True))
    assert pairs == [("mini_exam", "option_text"), ("mini_exam_cloze", "cloze")]


def test_the_article_is_in_the_prompt_of_the_open_book_variant(llm):
    design = eval_fewshot.Design(
        benchmarks=["mini_exam"],
        variants=["as_given", "open_book"],
        open_book="mini_articles",
        protocols=["option_text"],
        num_shots=[0],
        exemplars={},
    )
    question = dataclasses.replace(QUESTION, group="stable angina")
    arguments = ({"base": llm}, {"mini_exam": [question]}, {}, design)
    answers = eval_fewshot.answer_all(*arguments, Memory()).set_index("variant")
    article = eval_fewshot.read_book("mini_articles")["stable angina"]
    more = len(llm.tokenizer.encode(article, add_special_tokens=False))
    assert answers.loc["open_book", "tokens"] - answers.loc["as_given", "tokens"] >= more
    assert "open_book" in eval_fewshot.answers_key(*arguments)
    closed = design.model_copy(update={"variants": ["as_given"]})
    assert "open_book" not in eval_fewshot.answers_key(*arguments[:3], closed)
    missing = {"mini_exam": [dataclasses.replace(QUESTION, group="scurvy")]}
    with pytest.raises(ValueError, match='open_book: no article has the title or id "scurvy"'):
        eval_fewshot.answer_all({"base": llm}, missing, {}, design, Memory())


def test_protocols_that_ask_alike_are_dropped_exam_by_exam():
    names = ["option_text", "harness_now", "harness_2023"]
    table = pd.DataFrame(
        [{"benchmark": b, "protocol": p} for b in ("pubmedqa", "medqa_us") for p in names]
    )
    first = answering.drop_alike(table)
    assert first["protocol"].tolist() == ["option_text", *names]
    assert answering.drop_alike(table.iloc[:0]).empty


# -------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("protocol", ["option_text", "chat_letter", "medalpaca", "plain_reply"])
def test_a_killed_run_resumes_to_the_same_table_and_computes_nothing_twice(
    protocol, llm, monkeypatch
):
    for name in ("medalpaca", "plain_reply"):
        short = dataclasses.replace(PROTOCOLS[name], decoding={"max_new_tokens": 9})
        monkeypatch.setitem(PROTOCOLS, name, short)
    questions = [
        dataclasses.replace(QUESTION, id=f"q{i}", question=f"Is it {'really ' * i}{i}?")
        for i in range(7)
    ]
    complete = Memory()
    first = answer(llm, questions, [protocol], journal=complete, token_budget=200)
    for finished in range(1, len(complete.done), max(1, len(complete.done) // 4)):
        killed = Memory()
        killed.done = dict(list(complete.done.items())[:finished])
        resumed = answer(llm, questions, [protocol], journal=killed, token_budget=200)
        pd.testing.assert_frame_equal(first, resumed)
        assert killed.done == complete.done
    monkeypatch.setattr(type(llm.model), "forward", None)
    again = answer(llm, questions, [protocol], journal=complete, token_budget=200)
    pd.testing.assert_frame_equal(first, again)


def test_protocols_that_ask_alike_on_a_benchmark_are_computed_once(llm):
    names = ["option_text", "harness_2023", "harness_now"]
    assert [answering.find_alike(names, p, "pubmedqa") for p in names] == ["option_text"] * 3
    assert [answering.find_alike(names, p, "medqa_us") for p in names] == names
    design = eval_fewshot.Design(protocols=names, num_shots=[0], token_budget=4096)
    journal = Memory()
    exam = ({"pubmedqa": [QUESTION, OTHER]}, {"pubmedqa": [EXEMPLAR]})
    answers = eval_fewshot.answer_all({"base": llm}, *exam, design, journal)
    assert len(journal.done) == 2
    alone = answers.groupby("protocol", sort=False)
    assert list(alone.groups) == names
    expected = alone.get_group("option_text").drop(columns="protocol").reset_index(drop=True)
    for name in names[1:]:
        rows = alone.get_group(name).drop(columns="protocol").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, expected)


def test_the_key_of_the_journal_depends_on_models_questions_exemplars_and_settings():
    def key(source="base", question=QUESTION, exemplar=EXEMPLAR, **settings):
        llm = models.LLM("m", None, None, 0, source={"model_sha256": source})
        exam = ({"toy": [question]}, {"toy": [exemplar]})
        return eval_fewshot.answers_key({"m": llm}, *exam, eval_fewshot.Design(**settings))

    changes = {"source": "other", "question": OTHER, "exemplar": OTHER, "quantize": "", "seed": 1}
    changes |= {"chat_template": "plain", "exemplar_choice": "per_question"}
    assert key() == key()
    assert all(key(**{name: value}) != key() for name, value in changes.items())
    assert key(num_shots=[0]) == key()  # in the id of each answer


def test_the_key_of_the_journal_depends_on_the_prompts_and_parsers(monkeypatch):
    llm = models.LLM("m", None, None, 0, source={})
    arguments = ({"m": llm}, {}, {}, eval_fewshot.Design(protocols=["chat_reply"]))
    before = eval_fewshot.answers_key(*arguments)
    monkeypatch.setitem(PROTOCOLS, "new", PROTOCOLS["letter"])
    assert eval_fewshot.answers_key(*arguments) == before  # paid answers stay valid
    changed = dataclasses.replace(PROTOCOLS["chat_reply"], parser="medalpaca")
    monkeypatch.setitem(PROTOCOLS, "chat_reply", changed)
    assert eval_fewshot.answers_key(*arguments) != before
