"""Checks of one reply: what an assistant sentence may say, and which reason rejects a dialogue."""

import dataclasses

import pytest
from tests.support.toy_dbke import (
    PREVENTION,
    PREVENTION_KEY,
    ScriptedTeacher,
    plan_requests,
    synthesise,
    write_json,
)

from clinical_camel import data, dbke
from clinical_camel.data import Article, Section
from clinical_camel.dbke import checks

TEXT = (
    "Gout is treated with naproxen 500 mg twice daily. Allopurinol prevents further attacks of"
    " gout. It is not given during an acute attack."
)
ARTICLE = Article(
    id="gout", title="gout", licence="CC0", sections=[Section(heading="Treatment", text=TEXT)]
)
REWORDED = "With naproxen, 500 mg twice daily, gout is treated."


def reject(reply, request, min_exchanges=1, **settings):
    """The reason that rejects a reply; "" if it is accepted."""
    teacher = ScriptedTeacher(reply)
    _, rejected = synthesise([request], teacher, min_exchanges=min_exchanges, **settings)
    return rejected["reason"][0] if len(rejected) else ""


def reject_answers(*answers, **settings):
    """The reason that rejects a dialogue with these answers; "" if it is accepted."""
    request = dbke.plan_requests([ARTICLE], [], 1, 3, 0)[0]
    turns = [text for answer in answers for text in ("And what helps against gout?", answer)]
    return reject(write_json(*turns), request, **settings)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("not json", "reply is not a JSON dialogue"),
        (write_json("Hm?"), "turns do not alternate"),
        (write_json("Hm?", "Gout hurts.").replace("user", "assistant"), "turns do not alternate"),
        (write_json(" ", "Gout hurts."), "a turn is empty"),
        (write_json("a", "Gout hurts."), "fewer than 2 exchanges"),
        (write_json(*("a", "Gout is fun.") * 2), "not in the source"),
    ],
)
def test_a_reply_that_fails_a_check_is_rejected_with_the_reason(reply, reason):
    assert reason in reject(reply, plan_requests(dialogues=1)[0], min_exchanges=2)


def test_a_reworded_sentence_is_accepted_only_with_linked_support():
    assert reject_answers(REWORDED, support="linked") == ""
    reason = f'an assistant sentence is not in the source: "{REWORDED}"'
    assert reject_answers(REWORDED, support="verbatim") == reason


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("With naproxen, 50 mg twice daily, gout is treated.", "(dose)"),
        ("With naproxen, 500 mg once daily, gout is treated.", "(frequency)"),
        ("With colchicine, 500 mg twice daily, gout is treated.", "(medication)"),
        ("Fever and a rash are also common in gout.", "(symptom)"),
        ("The weather in winter makes shoes and feet rather cold.", "(words)"),
    ],
)
def test_a_reworded_sentence_with_another_fact_is_rejected_and_quoted(sentence, kind):
    reason = reject_answers(PREVENTION_KEY, sentence, support="linked")
    assert f'{kind}: "{sentence}" {kind.strip("()")}: ' in reason  # then the details


def test_a_dialogue_in_another_language_is_rejected():
    german = "Gegen die Gicht hilft Naproxen, und Allopurinol beugt weiteren Anfällen vor."
    article = dataclasses.replace(ARTICLE, sections=[Section(heading="", text=german)])
    request = dbke.plan_requests([article], [], 1, 3, 0)[0]
    reply = write_json("Was hilft gegen die Gicht, und wie beugt man ihr vor?", german)
    assert reject(reply, request) == ""
    assert reject(reply, request, language="en") == "the language is de, not en"


def reject_explanation(key, *sentences, question=None, **settings):
    """The reason that rejects a dialogue on the exam question; "" if it is accepted."""
    request = dbke.plan_requests([ARTICLE], [PREVENTION], 0, 2, 0, passages_per_question=5)[0]
    turns = [question or data.format_question(PREVENTION), key, "Why?", " ".join(sentences)]
    return reject(write_json(*turns), request, **settings)


@pytest.mark.parametrize("support", dbke.SUPPORT)
def test_an_explanation_may_support_the_key_and_deny_the_other_options(support):
    denials = ("Naproxen is not the answer.", "aspirin is not the answer.")
    assert reject_explanation("allopurinol.", PREVENTION_KEY, *denials, support=support) == ""


@pytest.mark.parametrize(
    "sentence",
    [
        "Allopurinol is not the answer.",
        "Aspirin prevents further attacks of gout.",
        "It is false that naproxen is not the answer.",
        "Aspirin is dangerous for the kidney.",
    ],
)
@pytest.mark.parametrize("support", dbke.SUPPORT)
def test_any_other_sentence_on_an_option_needs_a_passage(sentence, support):
    assert sentence in reject_explanation("allopurinol.", PREVENTION_KEY, sentence, support=support)


def test_a_dialogue_on_a_question_starts_with_it_and_gives_its_key():
    reason = reject_explanation("allopurinol.", PREVENTION_KEY, question="Hello?")
    assert reason == "the first turn is not the exam question"
    assert reject_explanation(PREVENTION_KEY, PREVENTION_KEY) == "the first answer is not the key"


def test_a_key_at_the_end_of_a_sentence_does_not_shorten_the_sentence():
    text = "Attacks of gout are prevented by allopurinol."
    article = dataclasses.replace(ARTICLE, sections=[Section(heading="", text=text)])
    requests = dbke.plan_requests([article], [PREVENTION], 0, 2, 0)
    dialogues, _ = synthesise(requests)
    assert checks.list_claims(dialogues[0], requests[0]) == [text]


@pytest.mark.parametrize(
    "sentence",
    [
        "Thank you, that helps.",
        "Thank you for telling me.",
        "Thanks!",
        "I'm sorry you have been through this.",
        "I\u2019m sorry to hear that.",
        "Let me ask a few things first.",
        "I need to ask a few things first.",
        "First, let me ask you some questions.",
        "Good question.",
        "You're welcome.",
        "I understand that you are worried.",
        "Not necessarily.",
        "No, not necessarily.",
        "It depends.",
        "How long have you had it?",
        "The text does not say.",
        "As for the number of degrees: The text does not say.",
        "As for whether feeding plays a part: The text does not say.",
    ],
)
def test_a_courtesy_needs_no_support(sentence):
    assert not checks.needs_support(sentence)
    reason = reject_answers(PREVENTION_KEY, f"{sentence} {REWORDED}", support="linked")
    assert reason == ""


@pytest.mark.parametrize(
    "sentence",
    [
        "Thank you, that confirms gout.",
        "That helps.",
        "Thanks to naproxen, gout ends.",
        "I'm sorry, but this is gout.",
        "I'm sorry you have gout.",
        "Let me ask a few things first, because gout kills.",
        "I need to ask about gout.",
        "Good question: gout is fatal.",
        "I understand that gout hurts.",
        "Not in gout.",
        "It depends on the dose.",
        "Yes.",
        "The text does not say that gout is fatal.",
        "As for gout, which kills: The text does not say.",
        "As for the drug that cures gout: The text does not say.",
        "As for gout: It is fatal.",
    ],
)
def test_a_courtesy_with_a_claim_needs_support(sentence):
    assert checks.needs_support(sentence)
