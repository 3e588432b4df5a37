"""Tables for reading: few columns, numbers with their intervals; the saved tables have all."""

from collections.abc import Mapping, Sequence

import pandas as pd

from clinical_camel.core.wording import format_interval, format_p
from clinical_camel.eval_replies.diagnoses import ALL_GROUPS, OUTCOMES, select_large_groups
from clinical_camel.eval_replies.overlap import METRICS, PRIMARY_METRIC, SECONDARY
from clinical_camel.eval_replies.wording import UNIT, is_clear, name_unit, orient_contrast
from clinical_camel.eval_replies.writing import STATUSES

FAULTS = STATUSES[1:]


def list_faults(row: Mapping) -> str:
    """Return how many replies are not complete, by status: "7 looping, 1 empty"."""
    return ", ".join(f"{row[status]} {status}" for status in FAULTS if row[status])


def format_statuses(statuses: pd.DataFrame) -> pd.DataFrame:
    """Return statuses for reading: a row per task, dataset and model.

    `truncated`: prompts that lost their oldest turns. `distinct`: different replies. `words`: mean
    length of a reply.
    """
    rows = []
    for row in statuses.to_dict("records"):
        shown = {"dataset": f"{row['corpus']} ({row['task']})", "model": row["model"]}
        shown |= {
            "complete": f"{row['ok']} of {row['replies']}",
            "other statuses": list_faults(row),
        }
        shown |= {name: row[name] for name in ("truncated", "distinct")}
        rows.append(shown | {"words": f"{row['words']:.1f}"})
    return pd.DataFrame(rows)


def format_overlap(summary: pd.DataFrame) -> pd.DataFrame:
    """Return means with intervals: a row per dataset and metric, a column per writer.

    `n` in the name of the dataset is the number of replies.
    """
    rows = []
    for key, group in summary.groupby(UNIT, sort=False):
        for metric, name in METRICS.items():
            row = {"dataset": _name_dataset(key, group["n"].max()), "score": name}
            for record in group.to_dict("records"):
                row[record["model"]] = format_interval(
                    record[metric], record[f"{metric}_low"], record[f"{metric}_high"]
                )
            rows.append(row)
    return pd.DataFrame(rows)


def format_comparison(
    comparison: pd.DataFrame, baseline: str, models: Sequence[str]
) -> pd.DataFrame:
    """Return the comparison of overlap: a row per dataset and pair of models.

    The primary score has its difference and adjusted p; of the other scores, the table lists those
    that are clearly higher or lower (adjusted p below 0.05 in their own family), with their
    difference. Differences are later minus earlier model of `models`.
    """
    rows = []
    for (*key, _), group in comparison.groupby([*UNIT, "model"], sort=False):
        others = group[group["family"] == SECONDARY]
        higher, lower = list_clear_changes(others, baseline, models)
        row = group[group["metric"] == PRIMARY_METRIC].iloc[0]
        contrast = orient_contrast(row, baseline, models)
        shown = {"dataset": _name_dataset(key, row["n"]), "comparison": contrast.name}
        shown |= {
            METRICS[PRIMARY_METRIC]: contrast.format(),
            "p (Holm)": format_p(row["p_holm"], digits=3),
        }
        shown |= {"clearly higher": ", ".join(higher), "clearly lower": ", ".join(lower)}
        rows.append(shown)
    return pd.DataFrame(rows)


def list_clear_changes(
    rows: pd.DataFrame, baseline: str, models: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the scores that are clearly higher, and clearly lower: "GLEU (-0.061)".

    `rows`: of `compare_overlap`, of one model in one unit; later minus earlier model of `models`.
    """
    higher, lower = [], []
    for row in rows.to_dict("records"):
        if is_clear(row):
            difference = orient_contrast(row, baseline, models).difference
            text = f"{METRICS[row['metric']]} ({difference:+.3f})"
            (higher if difference > 0 else lower).append(text)
    return higher, lower


def format_diagnoses(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the diagnoses by outcome: a row per ICD group and writer, all records first.

    ICD groups with few records are left out (`select_large_groups`).
    """
    rows = []
    shown_groups, _ = select_large_groups(summary)
    for row in shown_groups.to_dict("records"):
        values = (100 * row[name] for name in ("accuracy", "low", "high"))
        is_all = row["icd_group"] == ALL_GROUPS
        group = row["icd_description"] if is_all else f"{row['icd_group']} {row['icd_description']}"
        shown = {"dataset": name_unit(row), "ICD group": group, "model": row["model"]}
        shown |= {"n": row["n"], "correct, %": format_interval(*values, form=".0f")}
        others = (f"{row[name]} {name}" for name in OUTCOMES[1:] if row[name])
        rows.append(shown | {"other outcomes": ", ".join(others)})
    return pd.DataFrame(rows)


def format_diagnosis_comparison(
    comparison: pd.DataFrame, baseline: str, models: Sequence[str]
) -> pd.DataFrame:
    """Return the comparison of right diagnoses, in points: a row per dataset and pair of models."""
    rows = []
    for row in comparison.to_dict("records"):
        contrast = orient_contrast(row, baseline, models)
        shown = {"dataset": _name_dataset([row[name] for name in UNIT], row["n"])}
        shown |= {"comparison": contrast.name, "correct, points": contrast.format(100, ".0f")}
        rows.append(shown | {"p (Holm)": format_p(row["p_holm"], digits=3)})
    return pd.DataFrame(rows)


def format_wins(summary: pd.DataFrame) -> pd.DataFrame:
    """Return win rates: a row per dataset, model and judge."""
    rows = []
    for row in summary.to_dict("records"):
        values = (100 * row[name] for name in ("win_rate", "low", "high"))
        shown = {"dataset": name_unit(row), "model": row["model"], "judge": row["judge"]}
        counts = (str(row[name]) for name in ("wins", "ties", "losses"))
        shown |= {"wins / ties / losses": " / ".join(counts)}
        shown["win rate, %"] = format_interval(*values, form=".0f")
        rows.append(shown | {"p (Holm)": format_p(row["p_holm"], digits=3)})
    return pd.DataFrame(rows)


def _name_dataset(key: Sequence[str], n: int) -> str:
    return f"{name_unit(dict(zip(UNIT, key, strict=True)))} (n = {n})"
