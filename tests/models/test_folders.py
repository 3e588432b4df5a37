"""Names of models as folders: a hub model passes the same gate as a local one."""

import shutil
from pathlib import Path

import pytest
from tests.support.hostile_models import set_first, tensors

from clinical_camel import models
from clinical_camel.models import folders

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    """The shipped base as the snapshot of a hub model, in a folder like that of the hub's cache."""
    folder = tmp_path / "models--owner--camel" / "snapshots" / COMMIT
    shutil.copytree(models.locate("mini"), folder)
    monkeypatch.setattr(folders, "snapshot_download", lambda name, **_: str(folder))
    return folder


def test_a_hub_model_has_the_weights_hash_and_its_commit(snapshot):
    source = models.load("owner/camel", {"base": ""})["base"].source
    assert source["model_revision"] == COMMIT
    assert source["model_sha256"] == models.hash_weights(Path(models.locate("mini")))


def test_the_names_in_the_hub_cache_are_hashes_and_spare_a_reading(snapshot, monkeypatch):
    """The cache links a large file to a blob with its sha256 as name."""
    expected = models.hash_weights(snapshot)
    digest = models.weights.scan(snapshot / "model.safetensors")[0]
    (snapshot / "model.safetensors").rename(snapshot / digest)
    (snapshot / "model.safetensors").symlink_to(snapshot / digest)
    monkeypatch.setattr(models.weights, "scan", lambda _: pytest.fail("the weights were read"))
    assert models.hash_weights(snapshot) == expected


def test_a_damaged_hub_model_is_refused(snapshot):
    tensors("model.safetensors", set_first(float("nan")))(snapshot)
    with pytest.raises(models.ModelError, match="owner/camel: model.safetensors: .*NaN"):
        models.load("owner/camel", {"base": ""})


def test_a_hub_model_that_cannot_be_had_is_named_with_what_to_check(monkeypatch):
    def fail(*_, **__):
        raise FileNotFoundError("offline\nand more")

    monkeypatch.setattr(folders, "snapshot_download", fail)
    with pytest.raises(OSError, match="owner/x: not on this machine, .*offline.*; check the name"):
        models.load("owner/x", {"base": ""})
    models.require_no_remote_code("owner/x")  # planning needs no model
