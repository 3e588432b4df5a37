"""The shipped files are those that the build script writes from the current inputs."""

import json
import os
import subprocess
import sys

import pytest

from clinical_camel import models
from clinical_camel.mini import build


@pytest.fixture(scope="module")
def record():
    return json.loads((build.HERE / "build.json").read_text(encoding="utf-8"))


def test_the_shipped_texts_are_those_that_the_script_writes(tmp_path, monkeypatch):
    shipped = {file.name: file.read_bytes() for file in build.HERE.glob("*.jsonl")}
    monkeypatch.setattr(build, "HERE", tmp_path)
    build.write_material()
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.jsonl")} == shipped != {}


def test_the_base_model_was_built_from_the_current_recipe_and_primer(record):
    assert record["inputs"] == build.hash_inputs(models.load_tokenizer("mini"))
    assert record["weights_sha256"] == models.hash_weights(build.HERE / "base")


def test_the_base_model_is_small_and_has_a_context_of_4096_tokens(record):
    config = json.loads((build.HERE / "base" / "config.json").read_text(encoding="utf-8"))
    assert 1e6 <= record["parameters"] <= 3e6
    assert config["max_position_embeddings"] == 4096


def test_the_model_card_is_current_and_has_the_warning(record):
    card = (build.HERE / "base" / "README.md").read_text(encoding="utf-8")
    assert card == build.format_card(record)
    assert "not for use in care" in card
    assert f"{record['parameters']:,} parameters" in card


def test_the_tokenizer_is_the_same_under_two_hash_seeds(record):
    script = (
        "from clinical_camel.mini import build;"
        "tokenizer = build.build_tokenizer(build.iter_tokenizer_texts());"
        "print(build.hash_inputs(tokenizer))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {str(record["inputs"])}
