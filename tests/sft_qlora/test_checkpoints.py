"""A training resumes only from a checkpoint whose every file is as it was written."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from tests.support.toy_training import DAMAGES, toy_recipe, train

from clinical_camel import models, sft_qlora
from clinical_camel.sft_qlora import checkpoints

FILES = (
    *("README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja"),
    *("manifest.json", "optimizer.pt", "rng_state.pth", "scheduler.pt", "tokenizer.json"),
    *("tokenizer_config.json", "trainer_state.json", "training_args.bin"),
)
PROBLEMS = {"missing": "missing", "truncated": "bytes", "zeroed": "sha256", "bit flipped": "sha256"}


@pytest.fixture(scope="module")
def trained(four_rows, tmp_path_factory):
    """The folder with the checkpoints of a small training, and their fingerprint."""
    folder = tmp_path_factory.mktemp("run")
    train(four_rows, toy_recipe(num_epochs=3.0, save_steps=2), folder)
    place = next(folder.glob("checkpoints-*"))
    manifest = json.loads((place / "checkpoint-6" / "manifest.json").read_text())
    return place, manifest["fingerprint"]


@pytest.fixture
def place(trained, tmp_path):
    """A copy of those checkpoints for a test to damage."""
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    return tmp_path / trained[0].name


def test_the_two_newest_checkpoints_are_complete_with_a_hash_of_every_file(trained):
    place, fingerprint = trained
    paths = sorted(place.glob("checkpoint-*"))
    assert [path.name for path in paths] == ["checkpoint-4", "checkpoint-6"]
    for path in paths:
        assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
        assert checkpoints.check_checkpoint(path) == ""
    assert place.name == checkpoints.name_folder(fingerprint)


def test_the_newest_complete_checkpoint_is_used_and_the_one_before_stays(place, trained, capsys):
    assert checkpoints.find_newest_complete(place, trained[1]) == str(place / "checkpoint-6")
    assert capsys.readouterr().out == "resuming from checkpoint-6\n"
    assert (place / "checkpoint-4").is_dir()


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_reported_and_the_one_before_is_used(name, kind, place, trained, capsys):
    DAMAGES[kind](place / "checkpoint-6" / name)
    assert checkpoints.find_newest_complete(place, trained[1]) == str(place / "checkpoint-4")
    lines = capsys.readouterr().out.splitlines()
    problem = PROBLEMS[kind] if name != "manifest.json" or kind == "missing" else "damaged"
    assert lines[0].startswith(f"checkpoint-6: {name} ")
    assert problem in lines[0]
    assert lines[1] == "resuming from checkpoint-4"
    assert not (place / "checkpoint-6").exists()


def test_a_checkpoint_with_an_extra_file_is_not_used(place, trained, capsys):
    """The trainer would unpickle a scaler.pt."""
    (place / "checkpoint-6" / "scaler.pt").write_bytes(b"pickle")
    assert checkpoints.find_newest_complete(place, trained[1]) == str(place / "checkpoint-4")
    assert "scaler.pt is not in manifest.json" in capsys.readouterr().out


def test_checkpoints_of_another_recipe_in_this_folder_are_rejected(place, trained):
    ours = trained[1] | {"learning_rate": 0.5}
    with pytest.raises(sft_qlora.TrainingError, match=r"\(learning_rate 0.001, now 0.5\); move"):
        checkpoints.find_newest_complete(place, ours)
    assert (place / "checkpoint-6").is_dir()


def fingerprint_of(rows=((1, 2),), code=(checkpoints,), **changes):
    return checkpoints.make_fingerprint(
        toy_recipe(**changes),
        [{"input_ids": row, "labels": row} for row in rows],
        SimpleNamespace(config=SimpleNamespace(to_dict=dict, dtype=torch.float32)),
        models.load_tokenizer("mini"),
        code,
    )


def test_a_change_of_settings_rows_code_or_versions_is_another_folder(monkeypatch):
    ours = fingerprint_of()
    others = [
        fingerprint_of(learning_rate=0.2),
        fingerprint_of(rows=[(1, 3)]),
        fingerprint_of(code=(checkpoints, models)),
    ]
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.0.0")
    others.append(fingerprint_of())
    names = {checkpoints.name_folder(fingerprint) for fingerprint in (ours, *others)}
    assert len(names) == 5
    first = [checkpoints.describe_differences(other, ours).split()[0] for other in others]
    assert first == ["learning_rate", "rows", "code", "torch"]


def test_every_setting_of_the_recipe_counts_except_names_of_hashed_content():
    settings = toy_recipe().model_dump().keys() - fingerprint_of().keys()
    assert settings == checkpoints.EXCLUDED
    assert fingerprint_of(study="other") == fingerprint_of()


FINGERPRINT = {"seed": 0}


def save(folder, number, best=""):
    """A checkpoint as the trainer saves it; published if `best` is named."""
    checkpoint = folder / f"checkpoint-{number}"
    checkpoint.mkdir()
    (checkpoint / "optimizer.pt").write_text(str(number))
    if best:
        checkpoints.publish(checkpoint, FINGERPRINT, best)
    return checkpoint


def after_save(folder, number, best=None):
    state = SimpleNamespace(global_step=number, best_model_checkpoint=best)
    args = SimpleNamespace(output_dir=str(folder))
    checkpoints.Publisher(FINGERPRINT).on_save(args, state, None)


def fail_with_full_disk(*_):
    raise OSError("No space left on device")


def test_windows_opens_no_folder(tmp_path, monkeypatch):
    newest = save(tmp_path, 4)
    with monkeypatch.context() as windows:
        windows.setattr(models.checkpoints, "IS_WINDOWS", True)
        windows.setattr(models.checkpoints.os, "open", fail_with_full_disk)
        checkpoints.publish(newest, FINGERPRINT)
    assert checkpoints.check_checkpoint(newest) == ""


@pytest.mark.parametrize("function", ["_sync", "write_bytes"])
def test_the_oldest_is_deleted_only_after_the_newest_is_published(function, tmp_path, monkeypatch):
    for number in (4, 8):
        save(tmp_path, number, f"checkpoint-{number}")
    newest = save(tmp_path, 12)
    with monkeypatch.context() as full:
        full.setattr(models.checkpoints, function, fail_with_full_disk)
        with pytest.raises(OSError, match="No space"):
            after_save(tmp_path, 12)
    check = checkpoints.check_checkpoint
    assert check(newest) == "manifest.json is missing, the save was interrupted"
    assert [check(tmp_path / f"checkpoint-{n}") for n in (4, 8)] == ["", ""]
    after_save(tmp_path, 12)
    assert check(newest) == ""
    assert not (tmp_path / "checkpoint-4").exists()


def test_the_best_checkpoint_stays_and_is_required(tmp_path, capsys):
    for number in (4, 8, 12):
        save(tmp_path, number)
        after_save(tmp_path, number, str(tmp_path / "checkpoint-4"))
    assert checkpoints.find_newest_complete(tmp_path, FINGERPRINT).endswith("checkpoint-12")
    assert not (tmp_path / "checkpoint-8").exists()
    (tmp_path / "checkpoint-4" / "optimizer.pt").write_text("5")
    assert checkpoints.find_newest_complete(tmp_path, FINGERPRINT) is None
    problem = "checkpoint-12: needs checkpoint-4, the best so far: optimizer.pt is damaged"
    assert problem in capsys.readouterr().out


def test_the_best_checkpoint_is_found_after_its_folder_was_moved(tmp_path):
    state = SimpleNamespace(best_model_checkpoint="/elsewhere/checkpoint-4")
    args = SimpleNamespace(output_dir=str(tmp_path))
    checkpoints.Publisher(FINGERPRINT).on_train_begin(args, state, None)
    assert state.best_model_checkpoint == str(tmp_path / "checkpoint-4")
