"""Who made the texts that a notebook quotes: a row per source, complete for published ones."""

import json

import pytest

from clinical_camel import data
from clinical_camel.data import registry
from clinical_camel.data.attribution import COLUMNS, _load_citations

QUOTED = {  # what the published studies quote
    *("medqa_us", "medqa_us_train", "medmcqa", "medmcqa_train", "pubmedqa", "pubmedqa_train"),
    *("mmlu_medical", "mmlu_medical_dev", "medquad", "openstax_anatomy", "plos_medical"),
    *("aci_bench", "mts_dialog", "primock57", "mini_exam", "mini_articles", "mini_consultations"),
}


@pytest.mark.parametrize("name", sorted(QUOTED))
def test_every_quoted_source_has_authors_licence_address_and_changes(name):
    (row,) = data.list_attributions([f"{name}@data/public/x.jsonl"])
    assert list(row) == list(COLUMNS)
    assert all(row.values())
    assert row["authors"] != "named at the address"


def test_every_citation_of_the_registry_exists_and_is_used():
    used = {source.citation for source in registry.SOURCES.values() if source.citation}
    assert used == set(_load_citations())
    for row in _load_citations().values():
        assert row["url"].startswith("https://") or row["key"] == "mini"


def test_sets_of_one_source_share_a_row_and_own_files_have_none():
    rows = data.list_attributions(["medmcqa", "medmcqa_train@data/x.jsonl", "my/questions.jsonl"])
    assert [row["texts"] for row in rows] == ["medmcqa, medmcqa_train"]
    assert data.list_attributions(["my/questions.jsonl", "transcripts@my/visits.jsonl"]) == []
    assert data.format_attributions(["my/questions.jsonl"]) == ""


def test_a_file_of_a_step_stands_for_the_texts_that_the_step_read(project):
    sources = [{"spec": "plos_medical@data/x.jsonl"}, {"spec": "outputs/a/02_sft_qlora/log.csv"}]
    project.file("outputs/a/01_dbke/run.json", json.dumps({"notes": {"sources": sources}}))
    loop = {"notes": {"sources": [{"spec": "outputs/a/01_dbke/dialogues.jsonl"}]}}
    project.file("outputs/a/02_sft_qlora/run.json", json.dumps(loop))
    (row,) = data.list_attributions(["outputs/a/01_dbke/dialogues.jsonl", "outputs/b/x/y.jsonl"])
    assert row["texts"] == "plos_medical"
    assert "rewritten as dialogues" in row["changes"]


def test_the_page_links_licence_and_address_and_marks_what_is_shortened():
    page = data.format_attributions(["primock57", "medqa_us"])
    assert '<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>' in page
    assert '<a href="https://github.com/babylonhealth/primock57">' in page
    assert "Fang &amp; Szolovits 2021" in page
    assert page.count("<tr>") == 3
    assert page.endswith("<p>Quotations are shortened where <code>...</code> stands.</p>")


def test_a_set_of_the_hub_without_a_citation_has_the_address_of_its_page():
    (row,) = data.list_attributions(["medical_meadow_wikidoc"])
    assert row["address"] == "https://huggingface.co/datasets/medalpaca/medical_meadow_wikidoc"
    assert row["authors"] == "named at the address"


def test_a_name_that_is_not_registered_is_refused():
    with pytest.raises(data.DataError, match="'medqa_uss' is not a registered dataset"):
        data.list_attributions(["medqa_uss"])
