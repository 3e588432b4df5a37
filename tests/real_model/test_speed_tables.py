"""The measured speeds with a real model: pages quote the tables."""

import pandas as pd

from clinical_camel.core.paths import root

BENCHMARKS = root() / "benchmarks"


def test_the_page_of_the_benchmarks_quotes_the_speed_of_generation():
    table = pd.read_csv(BENCHMARKS / "results" / "generation_speed.csv")
    row = table.query("generator == 'generate, per row' and compute_dtype == 'bfloat16'").iloc[-1]
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    assert f"{row['ours_times_faster']} times the tokens per second of one call per prompt" in page
    assert f"in bfloat16, {row['notes']} notes" in page
