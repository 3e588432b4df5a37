"""A checkpoint counts only if every file of it is what was written."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tests.support.project import dialogue
from tests.support.toy_training import SETTINGS

from clinical_camel import models, sft_qlora
from clinical_camel.sft_qlora import checkpoints

FILES = (
    *("README.md", "adapter_config.json", "adapter_model.safetensors", "chat_template.jinja"),
    *("manifest.json", "optimizer.pt", "rng_state.pth", "scheduler.pt", "tokenizer.json"),
    *("tokenizer_config.json", "trainer_state.json", "training_args.bin"),
)
DAMAGES = {
    "missing": Path.unlink,
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "zeroed": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "bit-flipped": lambda file: file.write_bytes(flipped(file.read_bytes())),
}
SAID = {"missing": "missing", "truncated": "bytes", "zeroed": "sha256", "bit-flipped": "sha256"}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder in which a small training left its checkpoints, and its recipe."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer = models.load_tokenizer("mini")
    rows = {"toy": [dialogue(f"case {i}", exchanges=1) for i in range(4)]}
    encoded = sft_qlora.encode_mixture(tokenizer, rows, "assistant", 256)
    settings = SETTINGS | {"num_epochs": 3.0, "save_steps": 2}
    base = models.load_base("mini", "nf4")
    torch.manual_seed(0)
    sft_qlora.train(base, tokenizer, encoded, folder=folder, **settings)
    place = next(folder.glob("checkpoints-*"))
    recipe = json.loads((place / "checkpoint-6" / "manifest.json").read_text())["recipe"]
    return place, recipe


@pytest.fixture
def place(trained, tmp_path):
    """A copy of those checkpoints, free to be damaged."""
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    return tmp_path / trained[0].name


def test_a_training_leaves_its_two_newest_checkpoints_whole_and_hashes_every_file(trained):
    place, recipe = trained
    assert sorted(path.name for path in place.glob("checkpoint-*")) == [
        "checkpoint-4",
        "checkpoint-6",
    ]
    for path in place.glob("checkpoint-*"):
        assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
        assert sft_qlora.damage(path) == ""
    assert place.name == checkpoints.folder_name(recipe)


def test_the_newest_whole_one_is_taken_and_its_older_is_kept(place, trained, capsys):
    assert sft_qlora.newest_whole(place, trained[1]) == str(place / "checkpoint-6")
    assert capsys.readouterr().out == "going on from checkpoint-6\n"
    assert (place / "checkpoint-4").is_dir()


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_every_damage_is_said_and_the_one_before_is_taken(name, kind, place, trained, capsys):
    DAMAGES[kind](place / "checkpoint-6" / name)
    assert sft_qlora.newest_whole(place, trained[1]) == str(place / "checkpoint-4")
    said = capsys.readouterr().out.splitlines()
    wrong = SAID[kind] if name != "manifest.json" or kind == "missing" else "damaged"
    assert said[0].startswith(f"checkpoint-6: {name} ")
    assert wrong in said[0]
    assert said[1] == "going on from checkpoint-4"
    assert not (place / "checkpoint-6").exists()


def test_when_no_checkpoint_is_whole_the_training_starts_anew(place, trained):
    for number in (4, 6):
        (place / f"checkpoint-{number}" / "optimizer.pt").unlink()
    assert sft_qlora.newest_whole(place, trained[1]) is None


def test_a_file_put_beside_the_others_is_not_loaded(place, trained, capsys):
    """The trainer would unpickle a scaler.pt that it finds."""
    (place / "checkpoint-6" / "scaler.pt").write_bytes(b"pickle")
    assert sft_qlora.newest_whole(place, trained[1]) == str(place / "checkpoint-4")
    assert "scaler.pt is not in manifest.json" in capsys.readouterr().out


def test_a_manifest_that_was_edited_is_none(place, trained):
    file = place / "checkpoint-6" / "manifest.json"
    file.write_text(file.read_text().replace('"lora_rank": 4', '"lora_rank": 8'))
    assert sft_qlora.damage(place / "checkpoint-6") == "manifest.json is damaged"


def test_checkpoints_of_another_recipe_in_this_folder_are_refused(place, trained):
    ours = trained[1] | {"learning_rate": 0.5}
    with pytest.raises(sft_qlora.TrainingError, match=r"\(learning_rate 0.001, now 0.5\); move"):
        sft_qlora.newest_whole(place, ours)
    assert (place / "checkpoint-6").is_dir()


def test_checkpoints_of_another_recipe_beside_this_folder_are_mentioned(place, trained, capsys):
    ours = trained[1] | {"trl": "1.0.0"}
    checkpoints.mention_others(place.with_name("checkpoints-mine"), ours)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{place.name}: checkpoints of another recipe, not used (trl ")
    assert line.endswith(", now 1.0.0)")


def recipe_of(learning_rate=0.1, rows=((1, 2),), code=(checkpoints,)):
    tokenizer, base = models.load_tokenizer("mini"), SimpleNamespace(to_dict=dict)
    return checkpoints.make_recipe(
        {"learning_rate": learning_rate},
        [{"input_ids": row, "labels": row} for row in rows],
        SimpleNamespace(config=base),
        tokenizer,
        code,
    )


def test_a_change_of_settings_rows_code_or_versions_is_another_folder(monkeypatch):
    ours = recipe_of()
    assert recipe_of() == ours
    others = [recipe_of(0.2), recipe_of(rows=[(1, 3)]), recipe_of(code=(checkpoints, models))]
    monkeypatch.setattr(checkpoints, "version", lambda name: "0.0.0")
    others.append(recipe_of())
    names = {checkpoints.folder_name(recipe) for recipe in (ours, *others)}
    assert len(names) == 5
    told = [checkpoints.differences(recipe, ours).split()[0] for recipe in others]
    assert told == ["learning_rate", "rows", "code", "torch"]


RECIPE = {"seed": 0}


def saved(folder, number, best=""):
    """A checkpoint as the trainer leaves it; published if its best one is named."""
    checkpoint = folder / f"checkpoint-{number}"
    checkpoint.mkdir()
    (checkpoint / "optimizer.pt").write_text(str(number))
    if best:
        sft_qlora.publish(checkpoint, RECIPE, best)
    return checkpoint


def after_save(folder, number, best=None):
    state = SimpleNamespace(global_step=number, best_model_checkpoint=best)
    checkpoints.Publish(RECIPE).on_save(SimpleNamespace(output_dir=str(folder)), state, None)


def no_space(place):
    raise OSError("No space left on device")


def test_the_oldest_goes_only_when_the_newest_is_published(tmp_path, monkeypatch):
    for number in (4, 8):
        saved(tmp_path, number, f"checkpoint-{number}")
    newest = saved(tmp_path, 12)
    with monkeypatch.context() as full:
        full.setattr(checkpoints, "_sync", no_space)
        with pytest.raises(OSError, match="No space"):
            after_save(tmp_path, 12)
    assert sft_qlora.damage(newest) == "manifest.json is missing, the save was cut"
    assert [sft_qlora.damage(tmp_path / f"checkpoint-{n}") for n in (4, 8)] == ["", ""]
    (newest / ".manifest.json.tmp").unlink()
    after_save(tmp_path, 12)
    assert sft_qlora.damage(newest) == ""
    assert not (tmp_path / "checkpoint-4").exists()


def test_the_best_checkpoint_stays_and_is_needed(tmp_path, capsys):
    for number in (4, 8, 12):
        saved(tmp_path, number)
        after_save(tmp_path, number, str(tmp_path / "checkpoint-4"))
    assert sft_qlora.newest_whole(tmp_path, RECIPE).endswith("checkpoint-12")
    assert not (tmp_path / "checkpoint-8").exists()
    (tmp_path / "checkpoint-4" / "optimizer.pt").write_text("5")
    assert sft_qlora.newest_whole(tmp_path, RECIPE) is None
    assert "checkpoint-12: needs checkpoint-4, the best so far: optimizer.pt is damaged" in (
        capsys.readouterr().out
    )


def test_the_best_checkpoint_is_found_again_in_a_folder_that_was_moved(tmp_path):
    state = SimpleNamespace(best_model_checkpoint="/elsewhere/checkpoint-4")
    args = SimpleNamespace(output_dir=str(tmp_path))
    checkpoints.Publish(RECIPE).on_train_begin(args, state, None)
    assert state.best_model_checkpoint == str(tmp_path / "checkpoint-4")
