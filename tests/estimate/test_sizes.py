"""Sizes of sets that are not on this machine."""

import pytest
import yaml

from clinical_camel.core.paths import root
from clinical_camel.data import registry
from clinical_camel.estimate import sizes


def test_every_size_has_its_status_and_its_source_and_names_a_set():
    statuses = {"published", "measured", "recalled", "estimated"}
    rows = sizes._read_sizes()
    assert len(rows) > 20
    for name, size in rows.items():
        assert {size.rows_status, size.tokens_status} <= statuses
        assert size.rows > 0 < size.tokens
        assert size.source
        assert name in registry.SOURCES or "/" in name


def test_every_registered_set_in_the_mixture_of_a_study_has_a_size():
    files = root().glob("params/*/02_sft_qlora.yaml")
    specs = {spec for file in files for spec in yaml.safe_load(file.read_text())["mixture"]}
    names = [s for s in specs if s in registry.SOURCES and not registry.SOURCES[s].shipped]
    assert names
    assert [name for name in names if sizes.find_size(name) is None] == []


@pytest.mark.parametrize("spec", ["medqa_us@data/public/x.jsonl", "data/public/other.jsonl"])
def test_a_local_file_has_its_own_size(spec):
    assert sizes.find_size(spec) is None
    assert sizes.find_size("medqa_us").describe(10).startswith("10 rows (published) of 245")
