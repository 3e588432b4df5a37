"""Calibration: how often a model is correct when it is so sure."""

import pandas as pd

from clinical_camel import stats
from clinical_camel.exam_results.answers import KEY_COLUMNS


def compute_calibration(answers: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy per bin of confidence for each evaluation.

    Columns: KEY_COLUMNS, low and high (of the bin), n, confidence, accuracy. The confidence is the
    predicted option's share of the probability of all options.
    """
    tables = []
    for key, group in answers[answers["confidence"].notna()].groupby(KEY_COLUMNS, sort=False):
        table = stats.calibration_table(group["confidence"].astype(float), group["correct"])
        for name, value in reversed(list(zip(KEY_COLUMNS, key, strict=True))):
            table.insert(0, name, value)
        tables.append(table[table["n"] > 0])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=KEY_COLUMNS)
