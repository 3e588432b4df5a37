"""BLEU and GLEU of all replies together, with intervals over groups."""

import random

import numpy as np
import pytest
from nltk.translate.gleu_score import corpus_gleu

from clinical_camel import eval_replies
from clinical_camel.eval_replies.corpus_overlap import METRICS, count_ngrams, score_counts
from clinical_camel.eval_replies.overlap import BLEUS, build_bleu

COLUMNS = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]


def make_cases(make_case, count, group="g{}"):
    return [
        make_case(name=f"{group.format(i)}/{i}", question=f"Question {i}?") for i in range(count)
    ]


def score(cases, replies, **options):
    return eval_replies.score_corpora(replies, eval_replies.tabulate_cases(cases), **options)


def test_corpus_scores_pool_all_replies(cases, table, make_replies):
    replies = make_replies(cases, base="Not at all.")
    corpus = eval_replies.score_corpora(replies, table).set_index("task")
    assert corpus.loc["consultation", "bleu4"] == pytest.approx(1)
    assert corpus.loc["consultation", "gleu"] == pytest.approx(1)
    assert corpus.loc["question", "bleu1"] < 0.5
    assert (corpus[["n", "groups"]] == 2).all(axis=None)


@pytest.mark.parametrize("size", [1, 3, 30])
def test_scores_of_counts_are_those_of_sacrebleu_and_nltk(size):
    """Short texts included: without a token, without a shared word, without a 4-gram."""
    generator = random.Random(size)
    for _ in range(50):
        pairs = [
            [generator.choices("abcdefgh", k=generator.choice([0, 1, 2, 5, 9])) for _ in range(2)]
            for _ in range(size)
        ]
        counts = sum(np.array(count_ngrams(*pair), float) for pair in pairs)
        scores = {name: value.item() for name, value in score_counts(counts[None]).items()}
        texts, references = ([" ".join(side) for side in sides] for sides in zip(*pairs))  # noqa: B905
        for order, name in enumerate(BLEUS, start=1):
            expected = build_bleu(order, False).corpus_score(texts, [references]).score / 100
            assert scores[name] == pytest.approx(expected), (name, pairs)
        gleu = corpus_gleu([[reference] for _, reference in pairs], [reply for reply, _ in pairs])
        assert scores["gleu"] == pytest.approx(gleu)


def test_the_interval_is_over_groups_and_repeats_with_its_seed(make_case, make_replies):
    cases = make_cases(make_case, 12)
    replies = make_replies(cases, base="Crystals of {name}.")
    for i in replies.index[::2]:
        replies.loc[i, "reply"] = "I do not know of uric acid, ask another doctor." + " Why?" * i
    row = score(cases, replies, seed=1).iloc[0]
    for name in METRICS:
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], name
        assert 0 <= row[f"{name}_low"] <= row[f"{name}_high"] <= 1
    assert score(cases, replies, seed=1).iloc[0][COLUMNS].equals(row[COLUMNS])
    assert not score(cases, replies, seed=2).iloc[0][COLUMNS].equals(row[COLUMNS])


def test_cases_of_one_group_are_not_independent(make_case, make_replies):
    """Four groups of ten equal pairs are as uncertain as four pairs."""
    few = make_cases(make_case, 4)
    many = [make_case(name=f"g{i % 4}/{i}", question=f"Question {i}?") for i in range(40)]
    rows = []
    for cases in (few, many):
        replies = make_replies(cases, base="Crystals.")
        replies.loc[replies["group"] == "g0", "reply"] = "Crystals of uric acid."
        rows.append(score(cases, replies).iloc[0])
    assert (rows[0]["n"], rows[1]["n"], rows[1]["groups"]) == (4, 40, 4)
    for end in ("low", "high"):
        assert rows[0][f"bleu1_{end}"] == pytest.approx(rows[1][f"bleu1_{end}"])


def test_one_group_has_no_interval_and_a_copy_has_no_width(make_case, make_replies):
    cases = [make_case(name=f"gout/{i}", question=f"Question {i}?") for i in range(3)]
    row = score(cases, make_replies(cases, base="Crystals.")).iloc[0]
    assert row["groups"] == 1
    assert np.isnan([row[f"{name}_{end}"] for name in METRICS for end in ("low", "high")]).all()
    cases = make_cases(make_case, 3)
    row = score(cases, make_replies(cases, base="Crystals of uric acid.")).iloc[0]
    assert row[COLUMNS].astype(float).tolist() == pytest.approx([1.0] * len(COLUMNS))


def test_models_without_a_shared_word_score_zero(make_case, make_replies):
    cases = make_cases(make_case, 3)
    row = score(cases, make_replies(cases, base="", sft="No idea"))[COLUMNS]
    assert (row == 0).all(axis=None)
