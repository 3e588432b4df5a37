"""Exercises of step 06: the equivalence margin, the verdict, an interval over seeds."""

import functools
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from clinical_camel import controlled_comparison, two_way
from clinical_camel.controlled_comparison.contrasts import choose_verdict
from clinical_camel.core.paths import root
from clinical_camel.core.verdicts import CANNOT_TELL, HELPS, HURTS, name_no_effect
from clinical_camel.exercises.feedback import (
    OPEN,
    RIGHT,
    WRONG,
    AnswerError,
    Feedback,
    grade_function,
)
from clinical_camel.two_way import Estimate

COMPARISON = "outputs/dbke_effect/06_controlled_comparison"
REVERSED = "reversed"  # the outcome of the first exercise
MARGINS = (1, 2, 3, 5, 10)  # in points
VERDICTS = {HELPS: "helps", HURTS: "hurts", CANNOT_TELL: "cannot tell"}
CASES = (  # difference, p after Holm, p of the equivalence test
    (0.13, 0.001, 0.99),
    (-0.08, 0.01, 0.90),
    (0.01, 0.60, 0.02),
    (0.03, 0.20, 0.30),
    (0.02, 0.01, 0.01),
    (0.12, 0.20, 0.80),
    (0.03, 0.01, 0.30),
)


@functools.cache
def estimate_contrast(outcome: str) -> Estimate:
    """Return dialogues minus raw articles in an outcome of step 06, over diseases and ten seeds."""
    table = _read_pair("contrasts")
    row = table.set_index("outcome").loc[outcome]
    names = ["difference", "low", "high", "error", "df"]
    return Estimate(*map(float, row[names]), math.nan, float(row["sd_seeds"]), math.nan)


def _read_pair(name: str) -> pd.DataFrame:
    """Return the rows on dialogues and raw articles of a committed table of step 06."""
    table = pd.read_csv(root() / COMPARISON / f"{name}.csv")
    return table[table["treatment"].eq("dialogue") & table["control"].eq("raw")]


def grade_margin(answer: object) -> Feedback:
    """Grade the smallest of MARGINS that the equivalence test rules out in REVERSED."""
    if answer is None or answer == "" or answer == 0:
        return Feedback(OPEN, f"Write one of {MARGINS} first.")
    if answer not in MARGINS or isinstance(answer, bool):
        return Feedback(WRONG, f"{answer!r} is not one of {MARGINS}.")
    estimate = estimate_contrast(REVERSED)
    p = {m: two_way.compute_p_equivalence(estimate, m / 100) for m in MARGINS}
    truth = min(margin for margin in MARGINS if p[margin] < 0.05)
    result = f"The difference is {100 * estimate.mean:.1f} points, p equivalence {p[answer]:.2g}"
    if answer < truth:
        return Feedback(
            WRONG,
            f"{result} with a margin of {answer}: too large. A difference near 0 is not enough: "
            "the standard error counts, too.",
        )
    if answer > truth:
        return Feedback(
            WRONG,
            f"{result} with a margin of {answer}. True, but a smaller margin is ruled out as well.",
        )
    return Feedback(
        RIGHT,
        f"{result} with a margin of {answer}. With one that is large enough, every study shows no "
        "effect: so it must be written down before the runs.",
    )


def grade_verdict(function: Callable) -> Feedback:
    """Grade `function(difference, p_holm, p_equivalence)`, which returns a word of VERDICTS.

    The fourth word is "no effect".
    """
    return grade_function(function, _grade_verdict)


def _grade_verdict(decide: Callable) -> Feedback:
    design = controlled_comparison.Comparison()
    no_effect = name_no_effect(design.smallest_effect)
    words = {**VERDICTS, no_effect: "no effect"}
    for difference, p_holm, p_equivalence in CASES:
        row = {"difference": difference, "p_holm": p_holm, "p_equivalence": p_equivalence}
        right = words[choose_verdict(row, design)]
        word = str(decide(difference, p_holm, p_equivalence)).strip().lower()
        if word not in words.values():
            raise AnswerError(f"{word!r} is not one of {', '.join(words.values())}.")
        if word != right:
            raise AnswerError(
                f"Difference {100 * difference:.0f} points, p Holm {p_holm}, p equivalence "
                f"{p_equivalence}: you decide {word!r}, the rule {right!r}. "
                f"{_explain_verdict(word, right)}"
            )
    return Feedback(
        RIGHT, "Absence of evidence is 'cannot tell'; 'no effect' needs evidence of its own."
    )


def _explain_verdict(word: str, right: str) -> str:
    if right == "cannot tell" and word == "no effect":
        return "Not significant does not mean no effect: only the equivalence test can say that."
    if right == "no effect" and word in ("helps", "hurts"):
        return "The effect is not zero, but too small to matter: equivalence is tested first."
    if {word, right} == {"helps", "hurts"}:
        return "Look at the sign of the difference."
    return "Compare each p with 0.05; the equivalence test comes first."


def grade_seed_interval(function: Callable) -> Feedback:
    """Grade `function(differences)`: low and high of the 95 % interval of their mean."""
    return grade_function(function, _grade_interval)


def list_seed_differences() -> list[float]:
    """Return the accuracy of dialogues minus raw articles in plain text, for each pair of seeds."""
    return _read_pair("seeds")["difference"].tolist()


def _grade_interval(compute: Callable) -> Feedback:
    values = list_seed_differences()
    result = compute(list(values))
    try:
        low, high = map(float, result)
    except (TypeError, ValueError):
        raise AnswerError("Return two numbers: low, high.") from None
    count, mean = len(values), float(np.mean(values))
    sd = float(np.std(values, ddof=1))
    half, quantile = (high - low) / 2, t.ppf(0.975, count - 1)
    if not math.isclose((low + high) / 2, mean, abs_tol=1e-6):
        raise AnswerError(f"The interval must be centred on the mean, {mean:.4f}.")
    error = sd / math.sqrt(count)
    mistakes = {
        f"For {count} values, use the t quantile with {count - 1} degrees of freedom "
        f"({quantile:.2f}), not 1.96.": (norm.ppf(0.975) * error, 1.96 * error, 2 * error),
        f"You forgot to divide the standard deviation by the root of {count}.": (
            quantile * sd,
            1.96 * sd,
        ),
        "Divide the sum of squares by n - 1, not by n (ddof=1).": (
            quantile * error * math.sqrt((count - 1) / count),
        ),
        f"The degrees of freedom are n - 1 = {count - 1}, not {count}.": (
            t.ppf(0.975, count) * error,
        ),
        "For a two-sided interval, use the quantile of 0.975, not of 0.95.": (
            t.ppf(0.95, count - 1) * error,
        ),
    }
    if not math.isclose(half, quantile * error, rel_tol=2e-3):
        near = [
            text
            for text, halves in mistakes.items()
            if any(math.isclose(half, wrong, rel_tol=2e-3) for wrong in halves)
        ]
        raise AnswerError(near[0] if near else "Half of the width is t x sd / root of n.")
    other = estimate_contrast("plain question")
    return Feedback(
        RIGHT,
        f"{100 * mean:.1f} points [{100 * low:.1f}, {100 * high:.1f}] over seeds. It is an "
        "interval for other trainings on the same questions. With diseases resampled too, it is "
        f"[{100 * other.low:.1f}, {100 * other.high:.1f}].",
    )
