"""What a reward model is worth: accuracy on held-out pairs, length bias, calibration."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from clinical_camel import stats
from clinical_camel.core.rewards import WORD_RULE
from clinical_camel.reward_and_rl.new_words import count_new_words
from clinical_camel.reward_and_rl.reward_model import RewardModel, score_tokens
from clinical_camel.reward_and_rl.reward_training import TokenizedPairs

SUBSETS = ("all", "chosen is longer", "chosen is shorter", "equal length")


@dataclass(frozen=True, slots=True)
class PairScores:
    """The rewards and lengths of pairs: arrays [pairs]; lengths in tokens, prompt included.

    `more_new_words`: new words of the rejected reply minus those of the chosen one. `groups` are
    those of the prompts: pairs of one group are not independent.
    """

    chosen: np.ndarray
    rejected: np.ndarray
    chosen_length: np.ndarray
    rejected_length: np.ndarray
    more_new_words: np.ndarray
    groups: list[str]

    @property
    def margins(self) -> np.ndarray:
        """r_chosen - r_rejected, [pairs]."""
        return self.chosen - self.rejected

    @property
    def is_correct(self) -> np.ndarray:
        """Whether the chosen reply has the higher reward, bool [pairs]; equal rewards do not."""
        return self.margins > 0


def score_pairs(
    reward_model: RewardModel,
    tokenized: TokenizedPairs,
    words: frozenset[str],
    token_budget: int,
) -> PairScores:
    """Score both sides of every pair; `words`: of `new_words.collect_words`."""
    sides = [[row[name] for row in tokenized.rows] for name in ("chosen_ids", "rejected_ids")]
    rewards = score_tokens(reward_model, [*sides[0], *sides[1]], token_budget)
    chosen, rejected = torch.chunk(rewards, 2)
    return PairScores(
        chosen.numpy(),
        rejected.numpy(),
        *(np.array([len(ids) for ids in side]) for side in sides),
        np.array(
            [
                count_new_words(pair.rejected, words) - count_new_words(pair.chosen, words)
                for pair in tokenized.pairs
            ]
        ),
        [pair.prompt.group for pair in tokenized.pairs],
    )


def tabulate_accuracy(scores: PairScores) -> pd.DataFrame:
    """Return the pair accuracy of each of SUBSETS: subset, n, groups, accuracy, low, high.

    The intervals are clustered by the group of the prompt. A reward model that prefers long
    replies, whatever they say, is right if the chosen reply is longer and wrong if it is shorter.
    The row WORD_RULE is that of a rule that prefers the reply with fewer new words on all pairs; a
    tie counts half. The rule reads no question, so it knows no facts.
    """
    difference = scores.chosen_length - scores.rejected_length
    every = np.ones_like(difference, bool)
    chosen = [every, difference > 0, difference < 0, difference == 0]
    groups = np.array(scores.groups)
    by_words = 0.5 + 0.5 * np.sign(scores.more_new_words)
    parts = [(*part, scores.is_correct) for part in zip(SUBSETS, chosen, strict=True)]
    rows = []
    for name, rows_of, is_correct in [*parts, (WORD_RULE, every, by_words)]:
        correct, labels = is_correct[rows_of], groups[rows_of]
        row = {"subset": name, "n": len(correct), "groups": len(set(labels))}
        accuracy, low, high = float("nan"), float("nan"), float("nan")
        if len(correct):
            accuracy = float(correct.mean())
            low, high = stats.clustered_interval(correct, labels)
        rows.append(row | {"accuracy": accuracy, "low": low, "high": high})
    return pd.DataFrame(rows)


def measure_length_bias(scores: PairScores) -> dict[str, float]:
    """Return how rewards go with length.

    longer_chosen: share of pairs of unequal length whose chosen reply is longer (by the ranker);
    longer_preferred: the same by the reward model. bias: accuracy where the chosen reply is longer
    minus accuracy where it is shorter, with low and high (95 %, groups resampled; NaN for a single
    group or without both kinds). It is 0 for a perfect model and for a coin, 1 for a model that
    only counts tokens. correlation: Spearman's rank correlation of the differences in reward and in
    length, each pair in both directions; NaN without a difference in length.
    """
    lengths, margins = scores.chosen_length - scores.rejected_length, scores.margins
    unequal = lengths != 0
    nan = float("nan")
    if not unequal.any():
        names = ("longer_chosen", "longer_preferred", "bias", "low", "high", "correlation")
        return {"pairs": 0} | dict.fromkeys(names, nan)
    longer = lengths[unequal] > 0
    preferred = np.where(longer, margins[unequal] > 0, margins[unequal] < 0)
    clusters = np.array(scores.groups)[unequal]
    bias, low, high = _compare_accuracies(scores.is_correct[unequal], longer, clusters)
    both = [np.concatenate([values, -values]) for values in (margins, lengths)]
    return {
        "pairs": int(unequal.sum()),
        "longer_chosen": float(longer.mean()),
        "longer_preferred": float(preferred.mean()),
        **{"bias": bias, "low": low, "high": high},
        "correlation": float(spearmanr(*both).statistic),
    }


def _compare_accuracies(
    correct: np.ndarray, longer: np.ndarray, groups: np.ndarray
) -> tuple[float, float, float]:
    """Return the accuracy where `longer` minus that elsewhere, with its interval by bootstrap."""
    codes = np.unique(groups, return_inverse=True)[1]
    # per group: correct and all pairs, of the longer ones and of the others
    cells = np.zeros((codes.max() + 1, 4))
    for column, values in enumerate((correct & longer, longer, correct & ~longer, ~longer)):
        cells[:, column] = np.bincount(codes, weights=values, minlength=len(cells))
    if not (longer.any() and (~longer).any()):
        return float("nan"), float("nan"), float("nan")
    count = len(cells)
    generator = np.random.default_rng(0)
    weights = generator.multinomial(count, np.full(count, 1 / count), stats.RESAMPLES)
    sums = np.vstack([cells.sum(0), weights @ cells])
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample without one of the kinds
        bias, *drawn = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
    low, high = stats.find_limits(np.array(drawn), count) if count > 1 else (np.nan, np.nan)
    return float(bias), low, high


def tabulate_calibration(scores: PairScores) -> pd.DataFrame:
    """Return how often the preferred reply is the chosen one, by confidence.

    The loss makes sigmoid(|r_1 - r_2|) the probability that the reply with the higher reward is
    preferred: from 0.5. Columns as `stats.calibration_table`, empty bins left out.
    """
    table = stats.calibration_table(_get_confidence(scores), scores.is_correct)
    return table[table["n"] > 0].reset_index(drop=True)


def measure_calibration_error(scores: PairScores) -> float:
    """Return the expected calibration error of the confidences of `tabulate_calibration`."""
    return stats.expected_calibration_error(_get_confidence(scores), scores.is_correct)


def _get_confidence(scores: PairScores) -> np.ndarray:
    return 1 / (1 + np.exp(-np.abs(scores.margins.astype(float))))


def describe_scale(scores: PairScores) -> dict[str, float]:
    """Return mean and standard deviation of all rewards: what is subtracted and divided by.

    A reward model has no zero: only differences are trained. RL with a KL penalty needs a scale on
    which its coefficient means the same for every reward model.
    """
    rewards = np.concatenate([scores.chosen, scores.rejected]).astype(float)
    return {"mean": float(rewards.mean()), "std": float(rewards.std())}
