"""Replies of models, of other systems, and baselines."""

import dataclasses

import pandas as pd
import pytest
from tests.support.consultations import patch_outputs
from tests.support.project import Memory

from clinical_camel import eval_replies, models
from clinical_camel.eval_replies import EvalReplies, writing
from clinical_camel.eval_replies.settings import BASELINES
from clinical_camel.models import generation

SETTINGS = EvalReplies(adapters={"base": ""}, baseline="base", max_new_tokens=8)


def test_a_reply_in_the_journal_is_not_written_twice(llm, cases, monkeypatch):
    journal = Memory()
    first = eval_replies.write_replies({"base": llm}, cases, SETTINGS, journal=journal)
    assert len(journal.done) == len(first) == 6
    monkeypatch.setattr(generation, "generate", lambda *_, **__: iter(()))
    second = eval_replies.write_replies({"base": llm}, cases, SETTINGS, journal=journal)
    pd.testing.assert_frame_equal(first, second)


def test_a_resumed_run_writes_only_what_is_missing(llm, cases, monkeypatch):
    sent = []
    generate = models.generate

    def spy(llm, prompts, *args, skip, **options):
        sent.append(len(prompts) - len(skip))
        return generate(llm, prompts, *args, skip=skip, **options)

    monkeypatch.setattr(generation, "generate", spy)
    journal = Memory()
    whole = eval_replies.write_replies({"base": llm}, cases, SETTINGS, journal=journal)
    for key in list(journal.done)[:2]:
        del journal.done[key]
    again = eval_replies.write_replies({"base": llm}, cases, SETTINGS, journal=journal)
    assert sent == [6, 2]
    pd.testing.assert_frame_equal(whole, again)


def test_the_oldest_exchanges_are_dropped_until_the_prompt_fits(llm):
    texts = ["My toe hurts. " * 20, "Since when?", "Since Monday.", "Any fever?", "No."]
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    whole, dropped = writing.fit_prompt(llm, messages, 8)
    assert dropped == 0
    assert "toe" in whole
    small = dataclasses.replace(llm, max_length=60)
    prompt, dropped = writing.fit_prompt(small, messages, 8)
    assert dropped == 2
    assert "toe" not in prompt
    assert "Since Monday." in prompt
    length = len(models.tokenize_text(llm.tokenizer, prompt))
    assert length + 8 <= 60


def test_a_question_that_does_not_fit_is_too_long_and_gets_no_prompt(llm, make_case, monkeypatch):
    prompts = patch_outputs(monkeypatch, "Gout.")
    long = make_case(question="It hurts here. " * 50)
    rows = [make_case(name="b"), dataclasses.replace(long, id="a")]
    small = dataclasses.replace(llm, max_length=100)
    replies = eval_replies.write_replies({"base": small}, rows, SETTINGS, journal=Memory())
    assert replies["status"].tolist() == ["ok", "too long"]
    assert replies["reply"].tolist() == ["Gout.", ""]
    assert len(prompts) == 1


@pytest.mark.parametrize(
    ("text", "ended", "status"),
    [
        ("Gout.", True, "ok"),
        ("It is", False, "unfinished"),
        ("...", True, "empty"),
        ("", True, "empty"),
        ("Rest. " * 30, False, "looping"),
    ],
)
def test_a_reply_has_one_status(text, ended, status):
    assert writing.classify_reply(text, ended) == status


def test_the_journal_key_depends_on_prompts_decoding_and_models(llm, cases):
    key = eval_replies.make_journal_key({"base": llm}, cases, SETTINGS)
    same = SETTINGS.model_copy(update={"case_limit": 5, "icd_level": "block", "token_budget": 64})
    assert eval_replies.make_journal_key({"base": llm}, cases, same) == key
    for other in ({"temperature": 1.0}, {"seed": 1}, {"max_new_tokens": 9}):
        changed = SETTINGS.model_copy(update=other)
        assert eval_replies.make_journal_key({"base": llm}, cases, changed) != key
    assert eval_replies.make_journal_key({"base": llm}, cases[1:], SETTINGS) != key


def test_baselines_reply_to_every_case_without_its_own_reference(cases):
    rows = eval_replies.write_baselines(cases)
    assert list(rows["model"].unique()) == list(BASELINES)
    typical = rows[rows["model"] == BASELINES[0]].set_index("id")["reply"]
    assert typical["gout/record"] == "The diagnosis is scabies."
    copied = rows[rows["model"] == BASELINES[1]].set_index("id")["reply"]
    assert copied["gout/cause"] == "What causes gout?"


def test_examples_show_the_reference_and_every_writer(cases, make_replies):
    shown = eval_replies.list_examples(make_replies(cases, base="x", sft="y"), cases, 1)
    assert shown["writer"].tolist() == ["reference", "base", "sft"] * 3
    assert shown["reply"].tolist()[:3] == ["Not at all.", "x", "y"]


def test_replies_of_another_system_are_rows_like_those_of_a_model(project, cases, make_replies):
    written = make_replies(cases, other="It is {name}.")
    project.file("data/other.csv", written.to_csv(index=False))
    rows = eval_replies.load_other_replies(cases, {"other": "data/other.csv"})
    pd.testing.assert_frame_equal(rows, written)
