"""Training on pairs: it learns, counts what it drops, resumes exactly, and stops at NaN."""

import pytest
import torch
from tests.support.processes import run_until_killed
from tests.support.toy_rewards import make_toy_pairs
from transformers.modeling_layers import GradientCheckpointingLayer

from clinical_camel.models import ModelError, TrainingError
from clinical_camel.reward_and_rl import reward_model, reward_training
from clinical_camel.reward_and_rl.reward_checks import score_pairs

PAIRS = make_toy_pairs(12)
KILLED = """
import os, signal, sys
from pathlib import Path
from tests.reward_and_rl.test_reward_training import train
from clinical_camel.models import checkpoints

saves = []

def kill_in_second_publish(*rest):
    saves.append(rest)
    if len(saves) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(*rest)

publish, checkpoints.publish = checkpoints.publish, kill_in_second_publish
train(Path(sys.argv[1]), epochs=4)
"""


def make_recipe(**changes):
    values = {"learning_rate": 5e-3, "epochs": 2, "batch_size": 4, "max_length": 128}
    values |= {"save_steps": 2, "seed": 0}
    return reward_training.RewardRecipe(**values | changes)


def build():
    return reward_model.build_reward_model("mini", rank=4)


def train(folder, **changes):
    toy = build()
    tokenized = reward_training.tokenize_pairs(toy.tokenizer, PAIRS, 128)
    log = reward_training.train_reward_model(toy, tokenized, make_recipe(**changes), folder)
    return toy, log, score_pairs(toy, tokenized, frozenset(), 1024)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    return folder, *train(folder, epochs=4)


def test_the_preferred_replies_get_the_higher_reward(trained):
    _, toy, log, scores = trained
    assert scores.is_correct.all()
    assert list(log.columns) == list(reward_training.LOG_COLUMNS)
    assert log["loss"].iloc[0] > 2 * log["loss"].iloc[-1]
    assert log["fraction"].iloc[-1] == 1.0
    assert toy.source["training"]


def test_a_killed_training_resumes_to_the_same_scores(trained, tmp_path, capsys):
    """Killed while the checkpoint of step 4 is written: it resumes from step 2."""
    run_until_killed(KILLED, tmp_path)
    _, log, scores = train(tmp_path, epochs=4)
    assert "resuming from checkpoint-2" in capsys.readouterr().out
    assert len(log) == len(trained[2])
    assert abs(scores.chosen - trained[3].chosen).max() <= 1e-6
    assert abs(scores.rejected - trained[3].rejected).max() <= 1e-6
    reward_training.delete_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_training_killed_after_its_last_step_takes_no_further_one(tmp_path, monkeypatch):
    """Epochs are whole numbers: resumed inside an epoch, the trainer would complete it."""
    monkeypatch.setattr(reward_training, "_tabulate", kill)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    monkeypatch.undo()
    _, log, _ = train(tmp_path)
    assert list(log["step"]) == [1, 2, 3, 4, 5, 6]


def kill(*_):
    raise KeyboardInterrupt


def test_another_recipe_or_other_pairs_start_anew():
    fresh = build()
    tokenized = reward_training.tokenize_pairs(fresh.tokenizer, PAIRS, 128)
    fewer = reward_training.tokenize_pairs(fresh.tokenizer, PAIRS[1:], 128)
    ours = reward_training.make_fingerprint(fresh, tokenized, make_recipe())
    assert ours == reward_training.make_fingerprint(build(), tokenized, make_recipe())
    assert ours != reward_training.make_fingerprint(fresh, fewer, make_recipe())
    assert ours != reward_training.make_fingerprint(fresh, tokenized, make_recipe(seed=1))


def test_pairs_that_are_too_long_or_equal_are_counted():
    tokenizer = build().tokenizer
    long = make_toy_pairs(1)[0]
    long = type(long)(long.prompt, "Rest. " * 200, "No.", "rule")
    same = type(long)(long.prompt, "Rest.", "Rest.", "rule")
    tokenized = reward_training.tokenize_pairs(tokenizer, [*PAIRS, long, same], 128)
    assert (tokenized.too_long, tokenized.same_tokens) == (1, 1)
    assert tokenized.pairs == PAIRS
    assert len(tokenized.rows) == len(PAIRS)
    with pytest.raises(ValueError, match="reward_max_length: of 12 pairs, 12 are longer than 4"):
        reward_training.tokenize_pairs(tokenizer, PAIRS, 4)
    with pytest.raises(
        ValueError, match="rankers: of 3 pairs, 1 are longer .* and 2 have the same"
    ):
        reward_training.tokenize_pairs(tokenizer, [long, same, same], 128)


def test_nan_stops_the_training_before_a_checkpoint(tmp_path):
    toy = build()
    tokenized = reward_training.tokenize_pairs(toy.tokenizer, PAIRS, 128)
    with torch.no_grad():
        next(p for p in toy.model.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(TrainingError, match="step 1 of 6: .*lower reward_learning_rate"):
        reward_training.train_reward_model(toy, tokenized, make_recipe(), tmp_path)
    assert not list(tmp_path.glob("*/checkpoint-*"))


def test_a_length_beyond_the_context_is_an_error(tmp_path):
    toy = build()
    tokenized = reward_training.tokenize_pairs(toy.tokenizer, PAIRS, 128)
    recipe = make_recipe(max_length=9000)
    with pytest.raises(ModelError, match="reward_max_length: 9000 is more than the context"):
        reward_training.train_reward_model(toy, tokenized, recipe, tmp_path)


def test_on_a_gpu_pairs_are_computed_in_parts_with_recomputed_activations(
    trained, tmp_path, monkeypatch
):
    """Two pairs of 2 x 128 tokens fit into the budget; the same steps, the same rewards."""
    toy, seen = build(), []
    tokenized = reward_training.tokenize_pairs(toy.tokenizer, PAIRS, 128)
    recipe = make_recipe(epochs=4, token_budget=700)

    def record(module, args):
        if torch.is_grad_enabled() and module.training:
            seen.append((args[0].shape[0], module.gradient_checkpointing))

    layers = (m for m in toy.model.modules() if isinstance(m, GradientCheckpointingLayer))
    next(layers).register_forward_pre_hook(record)
    with monkeypatch.context() as patched:
        patched.setattr(reward_training.models, "device", lambda: "cuda")
        log = reward_training.train_reward_model(toy, tokenized, recipe, tmp_path)
    assert set(seen) == {(4, True)}
    assert len(log) == len(trained[2])
    assert log["loss"].iloc[0] == pytest.approx(trained[2]["loss"].iloc[0], rel=1e-4)
    scores = score_pairs(toy, tokenized, frozenset(), 1024)
    assert abs(scores.chosen - trained[3].chosen).max() <= 1e-3


def test_on_a_cpu_a_step_is_one_part(tmp_path, monkeypatch):
    monkeypatch.setattr(reward_training.models, "device", lambda: "cpu")
    args = reward_training._make_config(make_recipe(token_budget=1), tmp_path, 12, torch.float32)
    assert (args.per_device_train_batch_size, args.gradient_accumulation_steps) == (4, 1)
