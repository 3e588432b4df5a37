"""Tests of the simulation behind benchmarks/results/stats_coverage.csv."""

import math

import pandas as pd
import pytest
from tests.support.stats_simulation import designs, simulate

from clinical_camel import stats
from clinical_camel.core.paths import root

TABLE = pd.read_csv(root() / "benchmarks/results/stats_coverage.csv", keep_default_na=False)
DESIGNS = {(d.method, d.design): d for d in designs()}


def test_the_coverage_table_has_all_designs():
    assert list(zip(TABLE["method"], TABLE["design"], strict=True)) == list(DESIGNS)


def test_every_design_that_misses_its_aim_has_a_note_and_the_controls_miss_theirs():
    assert TABLE.loc[~TABLE["met"] & (TABLE["note"] == ""), "design"].tolist() == []
    controls = TABLE[TABLE["kind"].str.startswith("control")]
    assert len(controls) == 4
    assert controls["met"].all()


def test_a_row_of_the_coverage_table_can_be_reproduced():
    row = simulate(DESIGNS["wilson", "100 items, accuracy 0.25"])
    assert row == TABLE.loc[TABLE["design"] == "100 items, accuracy 0.25"].iloc[0].to_dict()


def test_the_simulated_coverage_equals_the_enumerated_one():
    # all 41 counts of 40 items, each with its binomial probability; the error of the rate is 0.0007
    intervals = [stats.wilson_interval(k, 40) for k in range(41)]
    counts = [k for k, (low, high) in enumerate(intervals) if low <= 0.9 <= high]
    exact = sum(math.comb(40, k) * 0.9**k * 0.1 ** (40 - k) for k in counts)
    row = simulate(DESIGNS["wilson", "40 items, accuracy 0.9"])
    assert row["rate"] == pytest.approx(exact, abs=0.0025)


def test_the_clustered_interval_covers_where_the_naive_one_does_not():
    design = "52 clusters of 6, accuracy 0.6, icc 0.3"
    robust = DESIGNS["clustered_interval", design]._replace(repetitions=400)
    naive = DESIGNS["wilson, clusters ignored", design]._replace(repetitions=400)
    clustered, ignored = simulate(robust)["rate"], simulate(naive)["rate"]
    assert ignored < 0.85 < 0.92 < clustered < 0.98
