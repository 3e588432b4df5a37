"""The judge of a run."""

import pandas as pd
import pytest

from clinical_camel import data, eval_replies
from clinical_camel.core.settings import Incomplete
from clinical_camel.eval_replies import EvalReplies
from clinical_camel.teachers import judge

REMOTE = {
    "kind": "openai", "model": "m", "terms": "own", "base_url": "https://host.example/v1",
    "money_cap": 1.0, "price_in": 1.0, "price_out": 1.0,
}  # fmt: skip


def make_pairs(cases, make_replies):
    replies = make_replies(cases, base="Acid.", sft="Crystals of acid.")
    return eval_replies.make_pairs(replies, cases, "base", ["base", "sft"])


def test_the_rule_needs_no_ledger(cases, make_replies, tmp_path):
    settings = EvalReplies(adapters={"base": ""}, baseline="base")
    file = tmp_path / "ledger"
    verdicts = eval_replies.judge_pairs(make_pairs(cases, make_replies), settings, file)
    assert verdicts["winner"].tolist() == ["model", "model"]
    assert set(verdicts["judge"]) == {"overlap rule"}
    assert not file.exists()


def test_restricted_texts_do_not_leave_this_machine(cases, make_replies, tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_API_KEY", "none")
    monkeypatch.setattr(data, "describe", lambda spec: {"licence": "PhysioNet Credentialed 1.5.0"})
    settings = EvalReplies.require({"adapters": {"base": ""}, "baseline": "base", "judge": REMOTE})
    with pytest.raises(ValueError, match=r"judge: rows under .*PhysioNet.* must not leave this"):
        eval_replies.judge_pairs(make_pairs(cases, make_replies), settings, tmp_path / "ledger")


def test_the_ledger_is_opened_for_a_language_model_and_closed(
    cases, make_replies, tmp_path, monkeypatch
):
    opened = []

    class Judge:
        name, is_rule = "toy", False

        def compare(self, questions):
            raise RuntimeError("the endpoint is down")

    def load_judge(settings, ledger, *_):
        opened.append(ledger)
        return Judge()

    monkeypatch.setattr(judge, "load_judge", load_judge)
    settings = EvalReplies.require({"adapters": {"base": ""}, "baseline": "base", "judge": REMOTE})
    with pytest.raises(RuntimeError, match="the endpoint is down"):
        eval_replies.judge_pairs(make_pairs(cases, make_replies), settings, tmp_path / "ledger")
    assert (tmp_path / "ledger").exists()
    with pytest.raises(Exception, match="closed"):
        opened[0].append("key", {"raw": "x"})


@pytest.mark.parametrize(
    ("winners", "decided_by", "is_complete"),
    [
        (["model", "", ""], "judge", False),
        (["model", ""], "judge", True),
        (["", ""], "judge", False),
        ([], "judge", True),
    ],
)
def test_a_judge_that_mostly_fails_makes_the_step_incomplete(winners, decided_by, is_complete):
    verdicts = pd.DataFrame(
        {"winner": winners, "decided_by": decided_by, "reason": "no JSON object"}
    )
    if is_complete:
        eval_replies.require_verdicts(verdicts)
    else:
        message = f"no verdict on {winners.count('')} of {len(winners)} pairs, first: no JSON"
        with pytest.raises(Incomplete, match=message):
            eval_replies.require_verdicts(verdicts)
