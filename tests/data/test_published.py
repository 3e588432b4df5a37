"""Tests of data.published: published.csv agrees with its sources and with itself."""

import pytest

from clinical_camel import data
from clinical_camel.data import registry


@pytest.mark.parametrize(
    ("system", "size", "benchmark", "shots", "value", "status"),
    [
        ("clinical_camel", "70b", "medqa_us", 5, 60.7, "confirmed (primary)"),
        ("clinical_camel", "70b", "pubmedqa", 0, 74.3, "confirmed (secondary)"),
        ("clinical_camel", "13b", "mmlu_anatomy", 5, 48.2, "recalled, not found"),
        ("med-palm-2", "", "mmlu_professional_medicine", 5, 95.2, "confirmed (primary)"),
        ("medalpaca", "13b", "usmle_self_assessment_step_3", 0, 60.2, "confirmed (primary)"),
        ("clinicalgpt", "7b", "medqa_us", 0, 26.9, "confirmed (primary)"),
    ],
)
def test_published_numbers_equal_their_sources(system, size, benchmark, shots, value, status):
    table = data.load_published().set_index(["system", "size", "benchmark", "shots"])
    rows = table.loc[[(system, size, benchmark, shots)]]
    assert rows[["value", "status"]].to_numpy().tolist() == [[value, status]]


def test_published_values_are_percentages_with_a_source_and_a_status():
    table = data.load_published()
    assert table["value"].between(1, 100).all()
    assert (table["source"].str.len() > 10).all()
    statuses = {"confirmed (primary)", "confirmed (secondary)", "recalled, not found"}
    assert set(table["status"]) == statuses
    camel = table[(table["system"] == "clinical_camel") & (table["size"] == "13b")]
    assert camel["status"].tolist() == ["recalled, not found"] * 20


def test_published_benchmarks_have_our_labels():
    labels = set(data.load_published()["benchmark"])
    ours = {f"mmlu_{subject}" for subject in registry.MMLU_SUBJECTS}
    assert ours | {"medqa_us", "medmcqa", "pubmedqa"} <= labels


def test_published_accuracy_is_attainable_with_its_number_of_items():
    table = data.load_published().dropna(subset=["n"])
    correct = (table["value"] * table["n"].astype(float) / 100).round()
    # 0.06, not 0.05: some tables round a rounded number
    assert (100 * correct / table["n"].astype(float) - table["value"]).abs().max() < 0.06


def test_published_systems_have_a_name_and_a_size():
    systems = data.list_published_systems()
    assert "clinical_camel:70b" in systems
    assert list(systems) == sorted(set(systems))
