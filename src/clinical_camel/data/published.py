"""Published scores of other systems, from published.csv."""

import csv
import importlib.resources

import pandas as pd


def list_published_systems() -> tuple[str, ...]:
    """Return the names `system:size` in published.csv, sorted."""
    return tuple(sorted({f"{row['system']}:{row['size']}" for row in _read_rows()}))


def load_published() -> pd.DataFrame:
    """Return published.csv: system, size, benchmark, shots, metric, value, n, protocol, ...

    If both exist, `<system>_<size>` is the study that reproduces the row. `benchmark` is the label
    of our spec, if we have that benchmark. `mmlu_<subject>` is the part of `mmlu_medical` with that
    `subset`. `value` is in percent, `n` the public number of items (missing if unknown), `status`
    how far the number could be traced (see the file).
    """
    table = pd.DataFrame(_read_rows())
    table["value"] = table["value"].astype(float)
    for name in ("n", "shots"):
        table[name] = pd.to_numeric(table[name]).astype("Int64")
    return table


def _read_rows() -> list[dict[str, str]]:
    path = importlib.resources.files("clinical_camel") / "published.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
