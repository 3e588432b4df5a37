"""Tests of data.fields: no reader passes over a field that nobody knows."""

import functools
import warnings

import pytest
from tests.support.rows import LETTERED, write_rows

from clinical_camel import data
from clinical_camel.data import fields, registry

READERS = sorted(name for name, source in registry.SOURCES.items() if source.read)


@pytest.mark.parametrize("name", READERS)
def test_every_registered_reader_lists_its_fields(name):
    read = registry.SOURCES[name].read
    problem = "field surprise is not one of id, "
    with pytest.raises(ValueError, match=problem):
        fields.require_listed_fields({"id": "1", "surprise": "x"}, read)
    fields.require_listed_fields({"id": "1", "split": "test"}, read)


def test_an_unknown_field_is_named_with_its_line_and_the_nearest_name(root):
    write_rows(root / "my.jsonl", [LETTERED, LETTERED | {"id": "m2", "optoins": {"A": "x"}}])
    with pytest.raises(data.DataError, match="line 2: field optoins .*did you mean options"):
        data.load_questions("medqa_us@my.jsonl")


def test_unknown_fields_of_the_hub_are_named_in_a_warning(hub):
    turns = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]
    hub["", "train"] = [{"id": "1", "conversations": turns, "novel": 1}]
    with pytest.warns(UserWarning, match="fields of the hub that are not read: novel"):
        assert len(data.load_dialogues("sharegpt")) == 1
    hub["", "train"] = [{"id": "1", "conversations": turns}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.load_dialogues("sharegpt")


def test_a_reader_without_a_list_rejects_nothing():
    fields.require_listed_fields({"x": 1}, functools.partial(dict, y=2))
