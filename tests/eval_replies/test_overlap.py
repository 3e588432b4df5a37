"""BLEU, ROUGE and GLEU of replies, with intervals and paired comparison."""

import math

import numpy as np
import pytest
from nltk.translate.bleu_score import sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from clinical_camel import eval_replies
from clinical_camel.eval_replies import overlap, score_reply
from clinical_camel.eval_replies.overlap import METRICS, PRIMARY, SECONDARY
from clinical_camel.eval_replies.settings import CONSULTATION

REPLY = "the cat is on the mat"
REFERENCE = "there is a cat on the mat"


def test_scores_of_an_english_reply_by_hand():
    """Shared words: cat, is, on, the, mat; shared pairs: "on the", "the mat"."""
    scores = score_reply(REPLY, REFERENCE)
    assert scores["rouge1"] == pytest.approx(2 * 5 / (6 + 7))
    assert scores["rouge2"] == pytest.approx(2 * 2 / (5 + 6))
    assert scores["rougeL"] == pytest.approx(2 * 4 / (6 + 7))  # cat on the mat
    brevity = math.exp(1 - 7 / 6)
    assert scores["bleu1"] == pytest.approx(brevity * 5 / 6)
    assert scores["bleu2"] == pytest.approx(brevity * math.sqrt(5 / 6 * 2 / 5))
    # n-grams of 1 to 4: 5 + 2 + 1 shared, of 6 + 5 + 4 + 3 in the reply, 7 + 6 + 5 + 4 expected
    assert scores["gleu"] == pytest.approx(8 / 22)


def test_scores_agree_with_other_implementations():
    scores = score_reply(REPLY, REFERENCE)
    tokens = [REFERENCE.split()], REPLY.split()
    assert scores["bleu1"] == pytest.approx(sentence_bleu(*tokens, weights=[1]))
    assert scores["bleu3"] == pytest.approx(sentence_bleu(*tokens, weights=[1 / 3] * 3))
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(REFERENCE, REPLY)
    for name, value in rouge.items():
        assert scores[name] == pytest.approx(value.fmeasure)


def test_chinese_scores_depend_on_the_segmentation():
    reply, reference = "建议多休息。", "建议多喝水。"
    words = score_reply(reply, reference, "jieba")
    characters = score_reply(reply, reference, "characters")
    assert characters["rouge1"] == pytest.approx(3 / 5)  # 建 议 多 of five characters
    assert words["rouge1"] == pytest.approx(2 / 5)  # 建议 of 建议 多 休息 and 建议 多喝水
    assert words["bleu1"] == pytest.approx(2 / 4)  # and the full stop
    assert score_reply(reference, reference, "jieba") == dict.fromkeys(METRICS, pytest.approx(1))


def test_the_reference_decides_how_both_texts_are_split():
    assert score_reply("多休息", "Rest.")["rouge1"] == 0
    assert score_reply("Rest.", "多休息")["bleu1"] == 0


@pytest.mark.parametrize("reply", ["", "  ", "...", "。"])
def test_a_reply_without_words_scores_zero(reply):
    assert score_reply(reply, "Rest.") == dict.fromkeys(METRICS, 0.0)


def test_a_copy_scores_one():
    assert score_reply(REFERENCE, REFERENCE) == dict.fromkeys(METRICS, pytest.approx(1))
    assert score_reply("Rest.", "Rest.")["bleu4"] == pytest.approx(1)  # effective order


def test_intervals_are_over_groups_and_a_single_group_has_none(cases, table, make_replies):
    replies = make_replies(cases, base="Not at all.", sft="Crystals of uric acid.")
    scored = eval_replies.score_replies(replies, table)
    summary = eval_replies.summarise_overlap(scored, 0).set_index(["task", "model"])
    row = summary.loc[("consultation", "base")]
    assert (row["n"], row["groups"], row["rouge1"], row["rouge1_low"]) == (2, 2, 1.0, 1.0)
    one = eval_replies.summarise_overlap(scored[scored["group"] == "gout"], 0)
    assert np.isnan(one["rouge1_low"]).all()


def test_the_baseline_is_compared_with_every_other_model(cases, table, make_replies):
    replies = make_replies(cases, base="Yes.", sft="Not at all.", ppo="Yes.")
    scored = eval_replies.score_replies(replies, table)
    result = eval_replies.compare_overlap(scored, "base", ["base", "sft", "ppo"], 0)
    assert set(result["model"]) == {"sft", "ppo"}
    row = result.set_index(["task", "model", "metric"]).loc[("consultation", "sft", "rouge1")]
    assert (row["n"], row["difference"]) == (2, 1.0)
    assert (result[result["model"] == "ppo"]["difference"] == 0).all()
    assert (result["p_holm"] >= result["p"]).all()


def test_rouge_l_is_a_family_of_its_own(cases, table, make_replies, monkeypatch):
    """Adjusted with seven near-copies, a loss of the primary score would not be clear."""
    p_of = {"rougeL": 0.02, "gleu": 0.001}
    monkeypatch.setattr(
        overlap,
        "_compare",
        lambda _, metric, seed: dict(n=2, difference=-0.1, low=-0.2, high=0, p=p_of.get(metric, 1)),
    )
    replies = make_replies(cases[:1], base="Yes.", sft="Not at all.", ppo="Yes.")
    scored = eval_replies.score_replies(replies, table)
    result = eval_replies.compare_overlap(scored, "base", ["base", "sft", "ppo"], 0)
    families = result.groupby("family")
    assert families["metric"].unique().map(set).to_dict() == {
        PRIMARY: {"rougeL"},
        SECONDARY: set(METRICS) - {"rougeL"},
    }
    p = families["p_holm"].min()
    assert p[PRIMARY] == pytest.approx(0.02 * 2)  # two models, one dataset
    assert p[SECONDARY] == pytest.approx(0.001 * 2 * 7)


def test_the_typical_reply_is_compared_by_the_primary_score(make_case, make_replies):
    cases = [make_case(CONSULTATION, f"g{i}/visit", "Is it bad?") for i in range(8)]
    texts = {"base": "Crystals of uric acid.", "sft": "No idea.", "typical reply": "No idea."}
    replies = make_replies(cases, **texts)
    scored = eval_replies.score_replies(replies, eval_replies.tabulate_cases(cases))
    result = eval_replies.compare_typical(scored, ["base", "sft"], 0).set_index("model")
    assert result["metric"].tolist() == ["rougeL"] * 2
    assert result["difference"].tolist() == [1, 0]
    assert result["p_holm"]["base"] < 0.05 < result["p_holm"]["sft"]


def test_one_shared_token_makes_every_bleu_larger_than_zero():
    """The notebook and docs/replies.md say so."""
    scores = score_reply("Monday follows.", "The treatment is oral doxycycline.")
    assert scores["rouge1"] == scores["rouge2"] == 0
    assert min(scores[f"bleu{n}"] for n in (1, 2, 3, 4)) > 0
    assert score_reply("Monday", "The treatment is oral doxycycline.")["bleu4"] == 0


def test_a_single_model_has_no_comparison(cases, table, make_replies):
    scored = eval_replies.score_replies(make_replies(cases, base="Yes."), table)
    result = eval_replies.compare_overlap(scored, "base", ["base"], 0)
    assert result.empty
    assert {"family", "p_holm"} <= set(result.columns)


def test_the_page_states_how_the_scores_are_computed():
    described = eval_replies.describe_metrics(["Rest.", "多休息。"], "jieba")
    assert described["references by script"] == "1 chinese, 1 latin"
    assert "words of jieba" in described["tokens"]
    assert "version:" in described["BLEU"]
    assert "single characters" in eval_replies.describe_metrics(["Rest."], "characters")["words"]
