"""What stands in for a base model and for dialogues that are not on this machine."""

import json

import pytest

from clinical_camel import data, models
from clinical_camel.rehearse import stand_ins


def test_a_model_of_known_shape_needs_no_network(project, monkeypatch):
    monkeypatch.setattr(stand_ins.folders, "fetch", fail_offline)
    folder = project.root / "meta-llama/Llama-2-7b-hf"
    remark = stand_ins.write_model(folder, "meta-llama/Llama-2-7b-hf", "chatml")
    assert "that of mini was used" in remark
    assert models.build_skeleton("meta-llama/Llama-2-7b-hf").num_parameters() == 6_738_415_616
    tokenizer = models.load_tokenizer("meta-llama/Llama-2-7b-hf", "chatml")
    ids = tokenizer.get_vocab().values()
    assert len(set(ids)) == len(ids) == 32000
    assert max(ids) == 31999
    assert tokenizer.eos_token == "<|im_end|>"


def fail_offline(*_):
    raise OSError("no network")


def test_an_unknown_model_says_what_to_do(project, monkeypatch):
    monkeypatch.setattr(stand_ins.folders, "fetch", fail_offline)
    with pytest.raises(FileNotFoundError, match="put config.json and the tokenizer into"):
        stand_ins.read_configuration("nobody/nothing")


def test_weights_that_take_minutes_to_read_are_not_read(monkeypatch):
    assert stand_ins.is_own("mini")
    monkeypatch.setattr(stand_ins, "LARGEST_OWN", 1000)
    assert not stand_ins.is_own("mini")
    assert not stand_ins.is_own("nobody/nothing")


@pytest.mark.parametrize("tokens", [100, 800])
def test_dialogues_have_about_the_tokens_that_were_wanted(tokens, project):
    file = project.root / "stand_ins/a.jsonl"
    stand_ins.write_dialogues(file, tokens)
    rows = data.load_training_rows("stand_ins/a.jsonl")
    assert len(rows) == len(file.read_text(encoding="utf-8").splitlines()) == stand_ins.ROWS
    words = sum(len(m["content"].split()) for m in json.loads(file.open().readline())["messages"])
    assert 0.6 * tokens < 1.3 * words < 1.6 * tokens


def test_the_first_dialogues_are_the_longest_of_the_training(project):
    file = project.root / "stand_ins/a.jsonl"
    stand_ins.write_dialogues(file, 100, longest=800, count=3)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    words = [sum(len(m["content"].split()) for m in row["messages"]) for row in rows]
    assert min(words[:3]) > 4 * max(words[3:])
