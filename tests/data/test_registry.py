"""Tests of data.registry: the registered names and downloads from the hub."""

import pytest

from clinical_camel import data
from clinical_camel.data import registry


def test_every_registered_name_has_a_file_or_a_reader():
    for name, source in registry.SOURCES.items():
        assert source.shipped or source.read, name
        assert bool(source.hub) == bool(source.splits), name
        assert source.role in {"train", "eval", "material"}, name
        assert source.licence, name


def test_mmlu_is_downloaded_by_subject_and_numbered_like_the_files(hub):
    for subject in registry.MMLU_SUBJECTS:
        row = {"question": "Q", "choices": ["a", "b"], "answer": 1, "subject": subject}
        hub[subject, "test"] = [row]
    rows = data.load_questions("mmlu_medical")
    assert [row.id for row in rows[:2]] == ["anatomy-000", "clinical_knowledge-000"]
    assert len(hub["calls"]) == 6


def test_medqa_is_downloaded_at_its_pinned_revision(hub):
    hub["", "test"] = [{"question": "Q", "options": {"A": "x", "B": "y"}, "answer_idx": "A"}]
    assert data.load_questions("medqa_us")[0].id == "medqa-us-test-0000"
    (call,) = hub["calls"]
    assert call[0] == "GBaker/MedQA-USMLE-4-options"
    assert len(call[3]) == 40


def test_an_unreachable_hub_is_reported_with_the_remedy(monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr("datasets.load_dataset", fail)
    with pytest.raises(data.DataError, match=r"medqa_us: GBaker.*no route.*medqa_us@data/public"):
        data.load_questions("medqa_us")


def test_an_unknown_name_is_rejected_with_the_nearest_ones():
    with pytest.raises(data.DataError, match=r"medqa_uk.*Did you mean medqa_us,.* or a path"):
        registry.find_source("medqa_uk")


def test_a_name_without_hub_id_needs_a_file():
    with pytest.raises(data.DataError, match="mts_dialog@data/public"):
        data.load_consultations("mts_dialog")


@pytest.mark.parametrize("name", ["md_ehr", "cmedqa_kg"])
def test_a_private_dataset_is_refused_with_the_reason(name):
    with pytest.raises(data.DataError, match=f"{name}: .*never released.*mini_"):
        data.load_dialogues(name)


def test_datasets_with_restricted_use_show_it():
    assert "non-commercial" in registry.find_source("cmedqa2").licence
    assert "unknown" in registry.find_source("meddialog").licence
