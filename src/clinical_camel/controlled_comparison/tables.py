"""Tables for the page: few columns, in percent and points; the saved tables have everything."""

import numpy as np
import pandas as pd


def format_percent(share: float, low: float = np.nan, high: float = np.nan) -> str:
    """Return a share in percent, with its interval if there is one.

    >>> format_percent(0.1276, 0.0897, 0.1667), format_percent(-0.0001)
    ('12.8 [9.0, 16.7]', '0.0')
    """
    if np.isnan(share):
        return ""
    interval = "" if np.isnan(low) else f" [{_round(low)}, {_round(high)}]"
    return f"{_round(share)}{interval}"


def _round(share: float) -> str:
    text = f"{100 * share:.1f}"
    return "0.0" if text == "-0.0" else text


def format_p(p: float) -> str:
    """Return a p-value as text.

    >>> format_p(0.00002), format_p(0.0312)
    ('< 0.0001', '0.0312')
    """
    return "" if np.isnan(p) else "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def format_contrasts(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the primary contrasts: difference, adjusted p, p of the equivalence test, verdict."""
    rows = []
    for row in contrasts[contrasts["is_primary"]].to_dict("records"):
        rows.append(
            {
                "contrast": _name(row),
                "difference": format_percent(row["difference"], row["low"], row["high"]),
                "p Holm": format_p(row["p_holm"]),
                "p equivalence": format_p(row["p_equivalence"]),
                "detectable": format_percent(row["min_detectable_effect"]),
                "seeds": row["seeds"],
                "verdict": row["verdict"],
            }
        )
    return hide_index(pd.DataFrame(rows))


def format_outcomes(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the difference of every contrast in every outcome: a row per outcome."""
    table: dict[str, dict[str, str]] = {}
    for row in contrasts.to_dict("records"):
        cell = format_percent(row["difference"], row["low"], row["high"])
        table.setdefault(row["outcome"], {})[_name(row)] = cell
    rows = [{"outcome": name} | cells for name, cells in table.items()]
    return hide_index(pd.DataFrame(rows).fillna(""))


def format_seeds(
    seeds: pd.DataFrame, contrasts: pd.DataFrame, by_data_seed: pd.DataFrame
) -> pd.DataFrame:
    """Return the difference of each contrast for each pair of seeds, and their spread, in points.

    `seeds` is the table of `compare_seeds`. `spread` is the estimated standard deviation of the
    true differences between seeds. The last column is from `by_data_seed`, the table of
    `compare_data_seeds`.
    """
    averaged = {
        (row.treatment, row.control): format_percent(row.difference, row.low, row.high)
        for row in by_data_seed.itertuples()
    }
    spread = {
        (row.treatment, row.control): row.sd_seeds
        for row in contrasts[contrasts["is_primary"]].itertuples()
    }
    rows = []
    for pair, group in seeds.groupby(["treatment", "control"], sort=False):
        cells = [
            f"{format_percent(r.difference)} ({r.data_seed}, {r.training_seed})"
            for r in group.itertuples()
        ]
        row = {"contrast": f"{pair[0]} \N{MINUS SIGN} {pair[1]}"}
        rows.append(row | {"by seed (data, training)": "; ".join(cells)})
        rows[-1]["spread"] = format_percent(spread.get(pair, np.nan))
        rows[-1]["data seeds averaged"] = averaged.get(pair, "")
    columns = ["contrast", "by seed (data, training)", "spread", "data seeds averaged"]
    return hide_index(pd.DataFrame(rows, columns=columns))


def format_models(models: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return the mixed models beside the resampling: log-odds, and both differences in points."""
    primary = contrasts[contrasts["is_primary"]] if len(contrasts) else contrasts
    differences = {
        (row.treatment, row.control): format_percent(row.difference, row.low, row.high)
        for row in primary.itertuples()
    }
    rows = [
        {
            "contrast": _name(row),
            "log-odds": f"{row['log_odds']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
            "difference, mixed model": format_percent(row["difference_by_model"]),
            "difference, resampling": differences.get((row["treatment"], row["control"]), ""),
        }
        for row in models.to_dict("records")
    ]
    return hide_index(pd.DataFrame(rows))


def format_fits(fits: pd.DataFrame) -> pd.DataFrame:
    """Return the gain per doubling of every curve, in points."""
    gains = [format_percent(r.gain_per_doubling, r.low, r.high) for r in fits.itertuples()]
    columns = {"curve": fits["curve"], "doubling of": fits["quantity"], "arms": fits["arms"]}
    columns |= {"seeds": fits["seeds"], "gain per doubling": gains}
    return hide_index(pd.DataFrame(columns))


def format_rates(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy on the development half: a row per arm, a column per rate, in percent.

    The chosen rate has a star.
    """
    cells = [f"{format_percent(r.accuracy)}{'*' * r.is_chosen}" for r in rates.itertuples()]
    table: dict[str, dict[str, str]] = {arm: {} for arm in rates["arm"]}
    for row, cell in zip(rates.itertuples(), cells, strict=True):
        table[row.arm][f"{row.learning_rate:g}"] = cell
    return hide_index(pd.DataFrame([{"arm": arm} | row for arm, row in table.items()]).fillna(""))


def hide_index(page: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an empty index, and let pandas show every text in full."""
    pd.set_option("display.max_colwidth", None)
    return page.set_axis([""] * len(page))


def _name(row: dict) -> str:
    return f"{row['treatment']} \N{MINUS SIGN} {row['control']}"
