"""Overlap of replies with the reference replies: BLEU-1 to 4, ROUGE-1, 2, L and GLEU.

Overlap does not measure whether a reply is right. These scores are here because papers report them
for consultations; two baselines without a model are scored too.

Every score is from 0 to 1 and belongs to one reply, so its mean has an interval over groups of
cases, and two models can be compared in pairs. A reply that was not written scores 0. Corpus scores
are computed as well (`corpus_overlap`), because papers rarely say which of the two they report.

    BLEU-n   sacrebleu: geometric mean of the precisions of 1- to n-grams, with brevity penalty;
             for one reply smoothed and with effective order (Post 2018, arXiv:1804.08771)
    ROUGE    F1 by rouge-score: shared words, shared pairs, longest common subsequence; no stemming
    GLEU     nltk: the smaller of precision and recall of 1- to 4-grams (Wu et al. 2016,
             arXiv:1609.08144)

BLEU and GLEU count tokens (`split_tokens`), ROUGE words (`split_words`). The script of the
reference decides how both texts are split.
"""

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from nltk.translate.gleu_score import sentence_gleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

from clinical_camel import stats
from clinical_camel.eval_replies.segmentation import (
    CHINESE,
    WordTokenizer,
    find_script,
    split_tokens,
)
from clinical_camel.eval_replies.settings import BASELINES
from clinical_camel.eval_replies.wording import UNIT

METRICS = {
    **{f"bleu{n}": f"BLEU-{n}" for n in (1, 2, 3, 4)},
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "gleu": "GLEU",
}
PRIMARY_METRIC = "rougeL"
TYPICAL = BASELINES[0]
PRIMARY, SECONDARY = "primary", "secondary"  # families: p is adjusted within each
BLEUS = tuple(name for name in METRICS if name.startswith("bleu"))
ROUGES = tuple(name for name in METRICS if name.startswith("rouge"))


@functools.cache
def build_bleu(order: int, of_one_reply: bool) -> BLEU:
    """Return BLEU of n-grams up to `order`; that of one reply is smoothed and scales the order."""
    # the tokens are joined with spaces: "none" splits them there, and force accepts that
    return BLEU(tokenize="none", force=True, max_ngram_order=order, effective_order=of_one_reply)


@functools.cache
def _rouge(script: str, chinese_words: str) -> RougeScorer:
    return RougeScorer(list(ROUGES), tokenizer=WordTokenizer(script, chinese_words))


def describe_metrics(references: Sequence[str], chinese_words: str) -> dict[str, str]:
    """Return how the scores are computed, for the page: segmentation, BLEU, ROUGE, GLEU."""
    scripts = {script: 0 for script in (CHINESE, "latin", "other")}
    for text in references:
        scripts[find_script(text)] += 1
    counts = ", ".join(f"{count} {script}" for script, count in scripts.items() if count)
    signature = build_bleu(4, True)
    signature.sentence_score("a", ["a"])
    chinese = "words of jieba" if chinese_words == "jieba" else "single characters"
    return {
        "references by script": counts,
        "tokens": f"chinese: {chinese}; others: 13a of sacrebleu, case counts",
        "words": f"chinese: {chinese}; others: letters and digits; lower case, no punctuation",
        "BLEU": f"sacrebleu {signature.get_signature()}",
        "ROUGE": "F1 of rouge-score, no stemming",
        "GLEU": "nltk sentence_gleu, 1- to 4-grams",
    }


def score_reply(reply: str, reference: str, chinese_words: str = "jieba") -> dict[str, float]:
    """Return every metric of a reply against its reference, from 0 to 1.

    >>> scores = score_reply("It is gout.", "It is not gout.")
    >>> round(scores["rouge1"], 3), round(scores["rougeL"], 3), round(scores["gleu"], 3)
    (0.857, 0.857, 0.429)
    """
    return dict(_score(reply, reference, chinese_words))


@functools.lru_cache(maxsize=1 << 16)
def _score(reply: str, reference: str, chinese_words: str) -> dict[str, float]:
    script = find_script(reference)
    tokens = split_tokens(reply, script, chinese_words)
    expected = split_tokens(reference, script, chinese_words)
    if not any(map(str.isalnum, reply)):
        return dict.fromkeys(METRICS, 0.0)
    joined = " ".join(tokens), [" ".join(expected)]
    scores = {
        f"bleu{n}": build_bleu(n, True).sentence_score(*joined).score / 100 for n in (1, 2, 3, 4)
    }
    rouges = _rouge(script, chinese_words).score(reference, reply) if expected else {}
    scores |= {name: value.fmeasure for name, value in rouges.items()}
    return scores | {"gleu": sentence_gleu([expected], tokens)}


def score_replies(
    replies: pd.DataFrame, cases: pd.DataFrame, chinese_words: str = "jieba"
) -> pd.DataFrame:
    """Return one row per reply: task, corpus, part, id, group, model, status, script, METRICS.

    `replies`: rows of `write_replies`; `cases`: `tabulate_cases`. `script` is that of the
    reference.
    """
    keys = ["task", "corpus", "id"]
    merged = replies.merge(cases[[*keys, "reference"]], on=keys, how="left", validate="many_to_one")
    rows = []
    for row in merged.itertuples():
        place = {name: getattr(row, name) for name in (*UNIT, "id", "group", "model", "status")}
        place["script"] = find_script(row.reference)
        rows.append(place | score_reply(row.reply, row.reference, chinese_words))
    return pd.DataFrame(rows)


def summarise_overlap(scored: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the mean and 95 % interval of each metric, a row per task, corpus, part and model.

    Columns: UNIT, model, n (replies), groups, then each metric with _low and _high. The intervals
    resample groups: the replies of one conversation are not independent. They are NaN for a single
    group.
    """
    rows = []
    for key, group in scored.groupby([*UNIT, "model"], sort=False):
        row = dict(zip((*UNIT, "model"), key, strict=True))
        row |= {"n": len(group), "groups": group["group"].nunique()}
        clusters = group["group"].to_numpy()
        for metric in METRICS:
            values = group[metric].to_numpy(float)
            zeros = np.zeros_like(values)
            interval = stats.paired_bootstrap(values, zeros, seed, clusters=clusters)
            row |= dict(zip((metric, f"{metric}_low", f"{metric}_high"), interval, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def tokenize_pair(reply: str, reference: str, chinese_words: str) -> tuple[list[str], list[str]]:
    """Return the tokens of both texts, split by the script of the reference."""
    script = find_script(reference)
    tokens = (split_tokens(text, script, chinese_words) for text in (reply, reference))
    return tuple(tokens)


def compare_overlap(
    scored: pd.DataFrame,
    baseline: str,
    models: Sequence[str],
    seed: int,
    metrics: Sequence[str] = (*METRICS,),
) -> pd.DataFrame:
    """Return the mean difference `model` - `baseline` over the same cases, for each metric.

    Columns: UNIT, model, metric, family, n, difference, low, high (95 %, over groups), p
    (permutation of groups), p_holm. No row for the baseline itself.

    The eight scores are almost copies of each other, so adjusting p for all of them would hide a
    loss. PRIMARY_METRIC is the primary family, all other scores are the secondary one: `p_holm` is
    Holm-adjusted for the rows of its own family. `baseline` may be a writer that is no model.
    """
    rows = []
    base = scored[scored["model"] == baseline]
    for model in models:
        if model == baseline:
            continue
        pairs = scored[scored["model"] == model].merge(
            base, on=[*UNIT, "id", "group"], suffixes=("", "_base"), validate="one_to_one"
        )
        for key, both in pairs.groupby(UNIT, sort=False):
            place = dict(zip(UNIT, key, strict=True)) | {"model": model}
            for metric in metrics:
                family = PRIMARY if metric == PRIMARY_METRIC else SECONDARY
                rows.append(
                    place | {"metric": metric, "family": family} | _compare(both, metric, seed)
                )
    columns = [*UNIT, "model", "metric", "family", "n", "difference", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    families = table["p"].astype(float).groupby(table["family"])
    return table.assign(p_holm=families.transform(lambda p: stats.adjust_holm(p.to_numpy())))


def compare_typical(scored: pd.DataFrame, models: Sequence[str], seed: int) -> pd.DataFrame:
    """Return the mean difference `model` - typical reply, by PRIMARY_METRIC (`compare_overlap`).

    A model that is not clearly better has not shown that it read the conversations.
    """
    return compare_overlap(scored, TYPICAL, models, seed, (PRIMARY_METRIC,))


def _compare(both: pd.DataFrame, metric: str, seed: int) -> dict[str, float]:
    pair = both[metric].to_numpy(float), both[f"{metric}_base"].to_numpy(float)
    clusters = both["group"].to_numpy()
    difference, low, high = stats.paired_bootstrap(*pair, seed, clusters=clusters)
    p = stats.paired_permutation(*pair, clusters, seed)
    return {"n": len(both), "difference": difference, "low": low, "high": high, "p": p}
