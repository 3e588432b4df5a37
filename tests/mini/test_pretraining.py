"""Pretraining of a small base: an interrupted run ends with the weights of an uninterrupted one."""

import dataclasses

import pytest
import torch
from tests.support.toy_training import flip

from clinical_camel import models
from clinical_camel.mini import build, pretraining
from clinical_camel.mini.sizes import SHIPPED_SIZE

INPUTS = {"recipe": "a"}
PRIMER = {"fixed": 8, "fresh": 2, "exam_share": 0.2, "passes": 1}
TINY = dataclasses.replace(
    SHIPPED_SIZE,
    name="tiny",
    model="mini_tiny",
    architecture=SHIPPED_SIZE.architecture
    | {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1},
    phases={
        "copy": SHIPPED_SIZE.phases["copy"]
        | {"primer": PRIMER, "stages": {"lessons": (96, 2), "primer": (192, 2)}, "warmup": 2},
        "recall": SHIPPED_SIZE.phases["recall"]
        | {"primer": PRIMER, "stages": {"primer": (192, 2)}, "warmup": 1},
    },
)


class Killed(Exception):
    """Raised in place of a kill."""


@pytest.fixture(scope="module")
def tokenizer():
    return models.load_tokenizer("mini")


@pytest.fixture(scope="module")
def batches(tokenizer):
    """The start of the first four batches of each phase."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "LESSONS", 60)
        steps = {n: pretraining.build_batches(tokenizer, p) for n, p in TINY.phases.items()}
    assert all(len(values) >= 4 for values in steps.values())
    return {n: [[row[:64] for row in b] for b in values[:4]] for n, values in steps.items()}


@pytest.fixture(autouse=True)
def _short(monkeypatch, batches):
    names = {id(phase): name for name, phase in TINY.phases.items()}
    monkeypatch.setattr(pretraining, "build_batches", lambda _, phase: batches[names[id(phase)]])


@pytest.fixture
def train(tokenizer, monkeypatch):
    """A function that pretrains the tiny size; it is killed after `steps` steps, if given."""

    def run(file=None, inputs=None, steps=None, save_seconds=0):
        monkeypatch.setattr(pretraining, "SAVE_SECONDS", save_seconds)
        original, count = pretraining._train_step, []

        def step(*arguments):
            if len(count) == steps:
                raise Killed
            count.append(1)
            return original(*arguments)

        monkeypatch.setattr(pretraining, "_train_step", step)
        model = pretraining.make_model(tokenizer, TINY)
        try:
            record = pretraining.pretrain(model, tokenizer, TINY, file, inputs or INPUTS)
        finally:
            monkeypatch.setattr(pretraining, "_train_step", original)
        return record, torch.cat([p.detach().flatten() for p in model.parameters()]), len(count)

    return run


def test_every_token_of_a_phase_is_seen_once_and_the_loss_falls(batches, train):
    record, _, steps = train()
    assert {name: len(values) for name, values in record["losses"].items()} == {
        name: len(values) for name, values in batches.items()
    }
    assert record["tokens"] == sum(
        len(row) for steps in batches.values() for batch in steps for row in batch
    )
    assert steps == sum(map(len, batches.values()))
    assert record["losses"]["recall"][-1] < record["losses"]["copy"][0]


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_a_killed_run_resumes_and_ends_with_the_same_weights(steps, train, tmp_path):
    """In the first phase, at its end, and in the second phase."""
    record, weights, total = train()
    with pytest.raises(Killed):
        train(tmp_path / "state.pt", steps=steps)
    resumed, resumed_weights, remaining = train(tmp_path / "state.pt")
    assert remaining == total - steps > 0
    assert resumed == record
    assert torch.equal(resumed_weights, weights)


def test_a_state_of_another_recipe_and_a_damaged_one_are_not_used(train, tmp_path, capsys):
    file = tmp_path / "state.pt"
    with pytest.raises(Killed):
        train(file, steps=4)
    _, weights, total = train(file, inputs={"recipe": "b"}, save_seconds=9999)
    assert "state.pt: of another recipe or version, not used" in capsys.readouterr().out
    flip(file)
    file.write_bytes(file.read_bytes()[:5000])
    _, again, count = train(file, save_seconds=9999)
    assert "state.pt: damaged" in capsys.readouterr().out
    assert count == total
    assert torch.equal(again, weights)


# ------------------------------------------------------------- the folder of another size


@pytest.fixture
def quick(monkeypatch, tokenizer):
    """The hashes of the inputs, without writing the primer."""
    shipped = build.read_json(build.HERE / "build.json")["inputs"]
    monkeypatch.setattr(build, "hash_inputs", lambda *_: dict(shipped, recipe="tiny"))
    return shipped


def test_a_size_becomes_a_complete_model_folder_in_one_step(quick, project, monkeypatch, capsys):
    folder = project.root / "data/models/mini_tiny"
    monkeypatch.setattr(pretraining, "SAVE_SECONDS", 0)
    original = pretraining.pretrain

    def kill(*arguments):
        original(*arguments)
        raise Killed

    monkeypatch.setattr(pretraining, "pretrain", kill)
    with pytest.raises(Killed):
        build.build_size(TINY, folder)
    assert not folder.exists()
    monkeypatch.setattr(pretraining, "pretrain", original)
    build.build_size(TINY, folder)
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "provenance.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["mini_tiny"]
    model = models.load_base("data/models/mini_tiny")
    tokenizer = models.load_tokenizer("data/models/mini_tiny")
    assert tokenizer.get_vocab() == models.load_tokenizer("mini").get_vocab()
    record = build.read_json(folder / "provenance.json")
    assert record["parameters"] == model.num_parameters()
    assert record["weights_sha256"] == models.hash_weights(folder)
    assert record["last_losses"].keys() == {"copy", "recall"}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "`python -m clinical_camel.mini.build --size tiny`" in card
    assert "not for use in care" in card
    assert "mini_camel/03" not in card
    build.build_size(TINY, folder)
    assert "already built, from the current recipe; nothing to do" in capsys.readouterr().out


def test_a_folder_that_cannot_be_used_is_refused_with_the_remedy(quick, project, monkeypatch):
    folder = project.root / "data/models/mini_tiny"
    folder.mkdir(parents=True)
    with pytest.raises(build.BuildError, match="has no provenance.json of a build"):
        build.build_size(TINY, folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    files = build.hash_folder(folder)
    inputs = build.hash_inputs()
    build.write_json(folder / "provenance.json", {"inputs": quick, "files": files})
    with pytest.raises(build.BuildError, match="built from another recipe; delete the folder"):
        build.require_current(folder, inputs)
    flip(folder / "model.safetensors")
    with pytest.raises(build.BuildError, match="model.safetensors: missing or changed since"):
        build.require_current(folder, inputs)
    monkeypatch.setattr(build, "hash_inputs", lambda *_: dict(inputs, text="new"))
    with pytest.raises(build.BuildError, match="text: has changed since the shipped base model"):
        build.build_size(TINY, folder.with_name("mini_other"))
    assert not folder.with_name("mini_other").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "7b"], "invalid choice: '7b' (choose from"),
        (["--size", "4m", "--material"], "--material writes the texts only"),
    ],
)
def test_the_command_line_is_checked(words, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["build", *words])
    with pytest.raises(SystemExit):
        build.main()
    assert message in capsys.readouterr().err
