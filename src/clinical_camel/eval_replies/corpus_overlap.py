"""Corpus scores: BLEU and GLEU of all replies of a dataset together, as papers report them.

A long reply weighs more here than in the mean of replies. The intervals resample groups of cases:
counts of n-grams are added up for each group once, so a resample is a sum of counts.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from nltk.translate.gleu_score import corpus_gleu

from clinical_camel import stats
from clinical_camel.eval_replies.overlap import BLEUS, build_bleu, tokenize_pair
from clinical_camel.eval_replies.wording import UNIT

METRICS = (*BLEUS, "gleu")
ORDERS = len(BLEUS)
RESAMPLES, CHUNK = 10_000, 1_000


def score_corpora(
    replies: pd.DataFrame, cases: pd.DataFrame, chinese_words: str = "jieba", seed: int = 0
) -> pd.DataFrame:
    """Return the corpus scores: BLEU-n over all n-grams of a dataset, and corpus GLEU.

    Columns: UNIT, model, n (replies), groups, then each of METRICS with _low and _high: the 95 %
    bootstrap interval over groups of cases, NaN for a single group.
    """
    keys = ["task", "corpus", "id"]
    merged = replies.merge(cases[[*keys, "reference"]], on=keys, how="left", validate="many_to_one")
    rows = []
    for key, group in merged.groupby([*UNIT, "model"], sort=False):
        pairs = [
            tokenize_pair(row.reply, row.reference, chinese_words) for row in group.itertuples()
        ]
        row = dict(zip((*UNIT, "model"), key, strict=True))
        row |= {"n": len(group), "groups": group["group"].nunique()}
        scores, limits = _score_corpus(pairs), _find_limits(pairs, group["group"], seed)
        for name in METRICS:
            row |= {name: scores[name]}
            row |= dict(zip((f"{name}_low", f"{name}_high"), limits[name], strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def _score_corpus(pairs: Sequence[tuple[list[str], list[str]]]) -> dict[str, float]:
    """Return the scores of sacrebleu and nltk for pairs of reply and reference, as tokens."""
    texts, references = ([" ".join(tokens) for tokens in side] for side in zip(*pairs, strict=True))
    scores = {
        name: build_bleu(order, False).corpus_score(texts, [references]).score / 100
        for order, name in enumerate(BLEUS, start=1)
    }
    gleu = corpus_gleu([[reference] for _, reference in pairs], [reply for reply, _ in pairs])
    return scores | {"gleu": float(gleu)}


def _find_limits(
    pairs: Sequence[tuple[list[str], list[str]]], groups: Sequence[str], seed: int
) -> dict[str, tuple[float, float]]:
    codes, names = pd.factorize(pd.Series(groups))
    if len(names) == 1:
        return dict.fromkeys(METRICS, (np.nan, np.nan))
    counts = np.zeros((len(names), 3 + 2 * ORDERS))
    np.add.at(counts, codes, [count_ngrams(*pair) for pair in pairs])
    generator, parts = np.random.default_rng(seed), []
    for _ in range(RESAMPLES // CHUNK):
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=CHUNK)
        parts.append(score_counts(drawn @ counts))
    return {
        name: stats.find_limits(np.concatenate([part[name] for part in parts]), len(names))
        for name in METRICS
    }


def count_ngrams(reply: Sequence[str], reference: Sequence[str]) -> list[int]:
    """Return what decides corpus scores: tokens of reply and reference, GLEU's denominator, then
    for each order the shared n-grams and those of the reply.

    >>> count_ngrams(["it", "is", "gout"], ["it", "was", "gout", "again"])
    [3, 4, 10, 2, 0, 0, 0, 3, 2, 1, 0]
    """
    score = build_bleu(ORDERS, False).corpus_score([" ".join(reply)], [[" ".join(reference)]])
    expected = sum(max(0, len(reference) - order) for order in range(ORDERS))
    sizes = [len(reply), len(reference), max(sum(score.totals), expected)]
    return [*sizes, *score.counts, *score.totals]


def score_counts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return METRICS for sums of `count_ngrams`, one per row, as sacrebleu and nltk compute them.

    sacrebleu halves the count 1 for each order without a shared n-gram (exponential smoothing).
    """
    length, expected, denominator = counts[:, :3].T
    shared, total = counts[:, 3 : 3 + ORDERS], counts[:, 3 + ORDERS :]
    with np.errstate(divide="ignore", invalid="ignore"):
        brevity = np.where(length < expected, np.exp(1 - expected / length), 1.0)
        is_smoothed = (shared == 0) & (total > 0)
        smoothed = np.where(is_smoothed, 0.5 ** is_smoothed.cumsum(axis=1), shared)
        logs = np.log(np.where(total > 0, smoothed / total, 0.0)).cumsum(axis=1)
        gleu = np.where(denominator > 0, shared.sum(axis=1) / denominator, 0.0)
    bleus = brevity[:, None] * np.exp(logs / np.arange(1, ORDERS + 1))
    bleus[shared[:, 0] == 0] = 0.0  # not even a word is shared
    return {name: bleus[:, i] for i, name in enumerate(BLEUS)} | {"gleu": gleu}
