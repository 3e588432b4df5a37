"""In what the trainings of two arms of a sweep differ, besides the property that is compared.

From the tables `equality` and `trainings` of step 06; the page of results (step 00) reads both.
"""

import pandas as pd

READINGS = {  # columns of `equality`: amounts
    "target_tokens": "tokens with loss",
    "tokens": "tokens seen",
    "steps": "steps",
    "exposures_mean": "exposures per fact",
}
SETTINGS = {  # columns of `trainings`
    "learning_rate": "learning rate",
    "batch_size": "rows per step",
}
LARGE_SHARE = 0.1  # a larger difference is named


def list_differences(
    equality: pd.DataFrame, trainings: pd.DataFrame, first: str, second: str, name: str = "B"
) -> list[str]:
    """Return in which amounts and settings two arms differ by more than a tenth, and in format.

    Such as "20 % more tokens seen", of the first arm, or "learning rate 0.008 (B: 0.004)", in which
    `name` stands for the second. Empty if an arm has no complete run.
    """
    equality = equality.set_index("arm")
    if not {first, second} <= set(equality.index):
        return []
    ratios = equality.loc[first, list(READINGS)] / equality.loc[second, list(READINGS)] - 1
    parts = [
        f"{_compare(ratio)} {READINGS[column]}"
        for column, ratio in ratios.items()
        if abs(ratio) > LARGE_SHARE
    ]
    parts += list_setting_differences(trainings, first, second, name)
    ours, theirs = equality.loc[[first, second], "format"]
    return [*parts, *([f"format {ours} ({name}: {theirs})"] if ours != theirs else [])]


def _compare(ratio: float) -> str:
    """Return a relative difference in words.

    >>> _compare(0.2), _compare(-0.12), _compare(11.0)
    ('20 % more', '12 % fewer', '12 times as many')
    """
    if ratio >= 1:
        return f"{1 + ratio:.2g} times as many"
    return f"{abs(100 * ratio):.0f} % {'more' if ratio > 0 else 'fewer'}"


def list_setting_differences(
    trainings: pd.DataFrame, first: str, second: str, name: str = "B"
) -> list[str]:
    """Return which settings of two arms differ by more than a tenth, as `list_differences`."""
    means = trainings.groupby("arm")[list(SETTINGS)].mean()
    pairs = {words: means.loc[[first, second], column] for column, words in SETTINGS.items()}
    return [
        f"{words} {ours:g} ({name}: {theirs:g})"
        for words, (ours, theirs) in pairs.items()
        if abs(ours / theirs - 1) > LARGE_SHARE
    ]
