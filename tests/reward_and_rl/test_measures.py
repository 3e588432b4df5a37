"""One measurement of a policy: rewards, KL, length and entropy of replies, and exams."""

from tests.support.toy_policies import toy_material, toy_settings

from clinical_camel import models
from clinical_camel.data import Question
from clinical_camel.reward_and_rl import measures
from clinical_camel.reward_and_rl.rollouts import open_policy


def test_an_exam_is_answered_by_the_most_likely_option(sft):
    """The likelihood of each option, computed in one row, without batches."""
    questions = [
        Question(id="a", question="Cause?", options=["urate", "a long toxin"], answer=0),
        Question(id="b", question="Sign?", options=["pain", "a rash", "itch"], answer=2, group="g"),
    ]
    rows = measures.score_exam(sft, questions, 4096, "exam")
    for question, row in zip(questions, rows, strict=True):
        prompt = models.render_chat(sft.tokenizer, [{"role": "user", "content": question.question}])
        pairs = [models.tokenize_pair(sft.tokenizer, prompt, text) for text in question.options]
        scores = dict(models.score_pairs(sft, pairs, 64))
        best = max(scores, key=scores.get)
        assert row["correct"] == int(best == question.answer)
    assert [row["group"] for row in rows] == ["a", "g"]


def test_a_measurement_has_every_value_and_the_sft_model_has_no_kl(sft):
    settings = toy_settings(eval_limit=3)
    with open_policy(sft) as policy:
        replies, exams = measures.measure_policy(policy, toy_material(), settings, 0)
    assert len(replies) == 3
    for row in replies:
        assert set(measures.VALUES) < row.keys()
        assert row["kl"] == 0
        assert row["gold"] == -row["proxy"]
        assert 1 <= row["tokens"] <= 6
        assert row["truncated"] == int(row["tokens"] == 6 and row["truncated"])
        assert row["entropy"] > 0
    assert [row["exam"] for row in exams] == ["exam"]


def test_replies_to_held_out_prompts_are_sampled_in_their_own_token_budget(sft, monkeypatch):
    budgets, original = [], measures.sample_rollouts

    def sample(*arguments, token_budget, **options):
        budgets.append(token_budget)
        return original(*arguments, token_budget=token_budget, **options)

    monkeypatch.setattr(measures, "sample_rollouts", sample)
    settings = toy_settings(eval_limit=2, sampling_token_budget=333)
    with open_policy(sft) as policy:
        measures.measure_policy(policy, toy_material(), settings, 0)
    assert budgets == [333]
