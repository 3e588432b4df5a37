"""Free answers in detail, and how often a model answers in the requested form."""

import numpy as np
import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import eval_fewshot, stats
from clinical_camel.data import Question

QUESTIONS = [
    Question(id=str(i), question="Q?", options=["a b", "c", "d", "e"], answer=0) for i in range(4)
]


def make_free(correct, contains, complete, logprob, tokens, protocol="plain_reply"):
    table = answers_of(tuned=correct).assign(protocol=protocol, confidence=None, logprobs="")
    table["predicted"] = [0 if c else -2 for c in correct]
    return table.assign(
        contains=contains, complete=complete, answer_logprob=logprob, answer_tokens=tokens
    )


FREE = make_free(
    [True, False, False, False],
    [True, True, False, False],
    [True, True, False, False],
    [-1.0, -2.0, -3.0, -6.0],
    [1, 2, 3, 2],
)


def test_free_answers_have_exact_match_contains_and_log_probabilities():
    (row,) = eval_fewshot.compute_free_scores(FREE, {"toy": QUESTIONS}).to_dict("records")
    assert (row["n"], row["exact_match"], row["contains"], row["chance"]) == (4, 0.25, 0.5, 0.0)
    assert (row["exact_match_low"], row["exact_match_high"]) == stats.wilson_interval(1, 4)
    assert (row["contains_low"], row["contains_high"]) == stats.wilson_interval(2, 4)
    assert row["answer_logprob"] == -3.0
    assert row["token_logprob"] == pytest.approx(-(1 + 1 + 1 + 3) / 4)


def test_free_answers_account_for_clusters():
    grouped = [
        Question(id=q.id, question="Q?", options=q.options, answer=0, group="g") for q in QUESTIONS
    ]
    (row,) = eval_fewshot.compute_free_scores(FREE, {"toy": grouped}).to_dict("records")
    assert (row["clusters"], row["contains_low"], row["contains_high"]) == (1, 0.0, 1.0)


def test_other_protocols_have_no_free_scores():
    assert eval_fewshot.compute_free_scores(answers_of(tuned=[True]), {"toy": QUESTIONS}).empty
    both = pd.concat([FREE, answers_of(tuned=[True] * 4)])
    table = eval_fewshot.compute_free_scores(both, {"toy": QUESTIONS})
    assert table["protocol"].tolist() == ["plain_reply"]


def test_compliance_measures_the_form_and_not_the_knowledge():
    letters = answers_of(tuned=[True, False, False, False]).assign(protocol="chat_reply")
    letters["predicted"] = [0, 1, 1, -1]
    likelihood = answers_of(tuned=[True]).assign(logprobs="-1.0 -2.0 -3.0 -4.0")
    table = eval_fewshot.compute_compliance(pd.concat([FREE, letters, likelihood]))
    rows = {row["protocol"]: row for row in table.to_dict("records")}
    assert [rows[p]["measure"] for p in ("plain_reply", "chat_reply", "option_text")] == [
        *("ended", "option", "probability")
    ]
    assert (rows["plain_reply"]["compliance"], rows["chat_reply"]["compliance"]) == (0.5, 0.75)
    assert rows["plain_reply"]["accuracy_if_compliant"] == 0.5
    assert rows["chat_reply"]["accuracy_if_compliant"] == pytest.approx(1 / 3)
    expected = sum(np.exp([-1.0, -2.0, -3.0, -4.0]))
    assert rows["option_text"]["compliance"] == pytest.approx(expected)
    assert np.isnan(rows["option_text"]["accuracy_if_compliant"])


def test_no_compliant_reply_has_no_accuracy():
    none = FREE.assign(complete=False)
    (row,) = eval_fewshot.compute_compliance(none).to_dict("records")
    assert row["compliance"] == 0
    assert np.isnan(row["accuracy_if_compliant"])


def test_both_tables_fit_on_a_page():
    free = eval_fewshot.format_free_scores(
        eval_fewshot.compute_free_scores(FREE, {"toy": QUESTIONS})
    )
    assert free.iloc[0].tolist() == [
        *("toy", "plain_reply, 0-shot", "tuned", "25.0 [4.6, 69.9]", "50.0 [15.0, 85.0]"),
        *("-1.50", "4"),
    ]
    page = eval_fewshot.format_compliance(eval_fewshot.compute_compliance(FREE))
    assert page.iloc[0].tolist() == [
        *("toy", "plain_reply, 0-shot", "reply ends by itself", "50.0 (50.0 correct)")
    ]
