"""Every method with every seed: saved, resumed after a kill, stopped with a reason."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tests.support.processes import run_until_killed
from tests.support.toy_policies import (
    give_nan,
    make_prompt,
    share_of_e,
    toy_material,
    toy_settings,
)

from clinical_camel import models
from clinical_camel.data import DataError
from clinical_camel.models import ModelError, TrainingError
from clinical_camel.reward_and_rl import ppo, rule, shapes, training, trl_methods
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.rollouts import open_policy
from clinical_camel.reward_and_rl.settings import METHODS
from clinical_camel.teachers import TeacherStop

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.toy_policies import load_sft, toy_material, toy_settings
from clinical_camel.models import checkpoints
from clinical_camel.reward_and_rl import training

adapter, method, folder, moment = sys.argv[1:]
saves = []

def kill_after_step(self, step, *rest):
    original(self, step, *rest)
    if moment == "step" and step == 3:
        os.kill(os.getpid(), signal.SIGKILL)

def kill_in_publish(*rest):
    saves.append(rest)
    if moment == "save" and len(saves) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(*rest)

original, training.Monitor.finish_step = training.Monitor.finish_step, kill_after_step
publish, checkpoints.publish = checkpoints.publish, kill_in_publish
settings = toy_settings(adapter, methods=[method], rl_steps=5, save_steps=2)
training.train_policies(load_sft(adapter), toy_material(), settings, Path(folder))
"""

ONLINE = ("ppo", "rloo", "grpo")  # methods that write replies while they train


def train(sft, sft_folder, folder, method, **changes):
    settings = toy_settings(sft_folder, methods=[method], rl_steps=5, save_steps=2, **changes)
    return training.train_policies(sft, toy_material(), settings, folder)


def read_weights(folder: Path, method: str) -> dict[str, torch.Tensor]:
    return load_file(folder / f"{method}_0" / "adapter" / "adapter_model.safetensors")


@pytest.mark.parametrize(
    ("method", "moment"),
    [("ppo", "step"), ("ppo", "save"), ("rloo", "step"), ("grpo", "step"), ("dpo", "step")],
)
def test_a_killed_training_ends_in_the_numbers_of_an_uninterrupted_one(
    method, moment, sft, sft_folder, tmp_path, capsys
):
    """Killed after step 3, or while the checkpoint of step 4 is written: it resumes from step 2."""
    run_until_killed(KILLED, sft_folder, method, tmp_path / "killed", moment)
    resumed = train(sft, sft_folder, tmp_path / "killed", method)
    assert "resuming from checkpoint-2" in capsys.readouterr().out
    complete = train(sft, sft_folder, tmp_path / "complete", method)
    assert resumed.steps.equals(complete.steps)
    assert list(resumed.steps["step"]) == [1, 2, 3, 4, 5]
    assert resumed.replies.equals(complete.replies)
    assert resumed.exams.equals(complete.exams)
    expected = read_weights(tmp_path / "complete", method)
    for name, weight in read_weights(tmp_path / "killed", method).items():
        assert torch.equal(weight, expected[name]), name
    assert not list((tmp_path / "killed").rglob("checkpoint-*"))


def move_away(policy) -> None:
    torch.manual_seed(0)
    for weight in policy.list_weights().values():
        weight.data += 0.1 * torch.randn_like(weight)


@pytest.mark.parametrize("method", ["ppo", "rloo", "grpo"])
def test_without_a_reward_the_kl_pulls_a_policy_back_to_the_sft_model(method, sft, tmp_path):
    """The sign of the KL and its reference, in PPO and in TRL's methods: all replies earn 0."""
    settings = toy_settings(
        kl_coefficient=1.0, rl_steps=4, eval_steps=4, prompts_per_step=6, num_generations=8,
        learning_rates=dict.fromkeys(METHODS, 3e-3), max_new_tokens=2,
    )  # fmt: skip
    nothing = toy_material(proxy=lambda replies: torch.zeros(len(replies)))
    with open_policy(sft) as policy:
        monitor = training.Monitor(
            policy, nothing, settings, 0, training.History(), tmp_path, {"toy": True}
        )
        monitor.start_clock()
        if method == "ppo":
            move_away(policy)
            monitor.add_start({})
            ppo.train_ppo(
                policy, nothing, settings, 0, checkpoint=None, on_step=monitor.finish_step
            )
        else:  # TRL's reference is the policy when its trainer is made
            trainer = trl_methods.make_trainer(method, monitor)
            move_away(policy)
            monitor.add_start({})
            trainer.train()
    kl = pd.DataFrame(monitor.history.replies).groupby("step")["kl"].mean()
    assert kl[4] < 0.6 * kl[0]


@pytest.fixture(scope="module")
def all_methods(sft, sft_folder, tmp_path_factory):
    """Two steps of every method, with one seed, and the folder.

    A random model never writes the exam's key, so that its reward is replaced, too.
    """
    folder = tmp_path_factory.mktemp("all")
    settings = toy_settings(
        sft_folder, methods=list(METHODS), rl_steps=2, learning_rates=dict.fromkeys(METHODS, 5e-3)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trl_methods, "make_key_reward", lambda *_: share_of_e)
        tables = training.train_policies(sft, toy_material(), settings, folder)
    return tables, folder, settings


def test_every_method_moves_the_policy_and_saves_an_adapter_that_loads(
    all_methods, sft_folder, sft
):
    tables, folder, _ = all_methods
    assert list(tables.trainings["method"]) == list(METHODS)
    assert set(tables.trainings["stop_reason"]) == {""}
    assert set(tables.trainings["steps"]) == {2}
    assert list(tables.trainings["adapter"]) == [f"{folder.name}/{m}_0/adapter" for m in METHODS]
    before = load_file(sft_folder / "adapter_model.safetensors")
    for method in METHODS:
        after = read_weights(folder, method)
        assert after.keys() == before.keys()
        assert any(not torch.equal(after[name], before[name]) for name in before), method
    llms = models.load("mini", {m: str(folder / f"{m}_0" / "adapter") for m in METHODS})
    assert set(llms) == set(METHODS)


def test_every_method_is_measured_on_the_same_held_out_prompts(all_methods):
    replies = all_methods[0].replies
    for _, part in replies.groupby(["method", "step"]):
        assert list(part["prompt_id"]) == [f"case-{i}" for i in range(6, 10)]
    start = replies[replies["step"] == 0]
    assert start.groupby("prompt_id")["reply"].nunique().eq(1).all()
    assert start["kl"].eq(0).all()
    assert replies.loc[replies["step"] == 2, "kl"].gt(0).all()
    assert replies["gold"].equals(-replies["proxy"])


def test_the_first_kl_of_every_method_with_replies_is_zero(all_methods):
    """The policy starts as its reference, also in TRL, which would start from the base."""
    steps = all_methods[0].steps
    first = steps[(steps["step"] == 1) & (steps["method"] != "dpo")]
    assert first["kl"].abs().max() < 1e-5
    assert steps.loc[(steps["step"] == 1) & (steps["method"] == "dpo"), "loss"].item() == (
        pytest.approx(0.693147, abs=1e-4)
    )


def test_a_finished_training_is_not_trained_again_but_other_settings_are(
    all_methods, sft, monkeypatch, capsys
):
    tables, folder, settings = all_methods

    def refuse(*args, **kwargs):
        raise RuntimeError("trained again")

    monkeypatch.setattr(training, "_run", refuse)
    again = training.train_policies(sft, toy_material(), settings, folder)
    assert again.replies.equals(tables.replies)
    assert again.trainings.equals(tables.trainings)
    other = settings.model_copy(update={"kl_coefficient": 0.5, "methods": ["ppo"]})
    with pytest.raises(RuntimeError, match="trained again"):
        training.train_policies(sft, toy_material(), other, folder)


@pytest.mark.parametrize("methods", [["ppo", "rloo"], ["rloo", "ppo"], ["grpo", "ppo"]])
def test_a_nan_reward_stops_one_training_with_its_reason_and_the_next_one_runs(
    methods, sft, sft_folder, tmp_path
):
    settings = toy_settings(sft_folder, methods=methods, rl_steps=2, eval_steps=2)
    calls = []

    def reward(replies):
        calls.append(len(replies))
        return give_nan(replies) if len(calls) == 2 else share_of_e(replies)

    tables = training.train_policies(sft, toy_material(proxy=reward), settings, tmp_path)
    stopped, complete = tables.trainings["stop_reason"]
    assert stopped.startswith("the reward of a reply to prompt case-")
    assert complete == ""
    assert list(tables.trainings["steps"]) == [0, 2]


def test_nan_weights_are_not_saved(sft, sft_folder, tmp_path, monkeypatch):
    def break_weights(method, monitor, newest):
        next(iter(monitor.policy.list_weights().values())).data.fill_(float("nan"))
        raise StoppedTraining("loss is nan; use a lower learning rate")

    monkeypatch.setattr(training, "_run", break_weights)
    tables = train(sft, sft_folder, tmp_path, "ppo")
    assert tables.trainings["adapter"].item() == ""
    assert tables.trainings["stop_reason"].item() == "loss is nan; use a lower learning rate"
    assert set(tables.replies["step"]) == {0}


def test_nan_logits_stop_with_a_reason(sft, sft_folder, tmp_path, monkeypatch):
    update = ppo.update

    def break_policy(learner, *rest):
        figures = update(learner, *rest)
        for weight in learner.policy.list_weights().values():
            weight.data.fill_(float("nan"))
        return figures

    monkeypatch.setattr(ppo, "update", break_policy)
    tables = train(sft, sft_folder, tmp_path, "ppo", ppo_epochs=1)
    reason = tables.trainings["stop_reason"].item()
    assert reason == "the model gave NaN logits; use a lower learning rate"


def test_nan_logits_while_trl_samples_stop_with_a_reason(sft, sft_folder, tmp_path, monkeypatch):
    def sample(*_):
        torch.multinomial(torch.tensor([float("nan"), 1.0]), 1)

    monkeypatch.setattr(trl_methods, "train_with_trl", sample)
    tables = train(sft, sft_folder, tmp_path, "rloo")
    assert tables.trainings["stop_reason"].item() == (
        "the logits have NaN; use a lower learning rate"
    )


def test_another_error_of_torch_is_not_taken_for_nan(sft, sft_folder, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(trl_methods, "train_with_trl", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(sft, sft_folder, tmp_path, "rloo")


def test_replies_that_collapsed_stop_dpo_at_a_measurement(sft, sft_folder, tmp_path, monkeypatch):
    measure = training.measure_policy
    calls = []

    def shorten(*arguments):
        replies, exams = measure(*arguments)
        calls.append(1)
        tokens = 6 if len(calls) == 1 else 0
        return [row | {"tokens": tokens} for row in replies], exams

    monkeypatch.setattr(training, "measure_policy", shorten)
    tables = train(sft, sft_folder, tmp_path, "dpo", eval_steps=1)
    assert tables.trainings["stop_reason"].item().startswith("replies collapsed from 6.0 to 0.0")


# in a batch, at a measurement, and also at the measurement after the stop
@pytest.mark.parametrize("failing", [{2}, {3}, {3, 4}])
def test_nan_of_the_reward_model_stops_one_training_and_the_next_one_runs(
    failing, sft, sft_folder, tmp_path
):
    settings = toy_settings(sft_folder, methods=["ppo", "rloo"], rl_steps=1, eval_steps=1)
    calls = []

    def reward(replies):
        calls.append(len(replies))
        if len(calls) in failing:
            raise ModelError("the reward model gave NaN or infinity; train it again")
        return share_of_e(replies)

    tables = training.train_policies(sft, toy_material(proxy=reward), settings, tmp_path)
    stopped, complete = tables.trainings["stop_reason"]
    assert stopped == "the reward model gave NaN or infinity; train it again"
    assert complete == ""


def fail_at(calls: set[int], error: Exception):
    """A gold reward that raises an error at these calls, counted from 1; the first is the start."""
    made = []

    def gold(replies):
        made.append(len(replies))
        if len(made) in calls:
            raise error
        return -share_of_e(replies)

    return gold


def test_a_judge_without_verdicts_stops_one_training_and_the_next_one_runs(
    sft, sft_folder, tmp_path
):
    settings = toy_settings(sft_folder, methods=["ppo", "rloo"], rl_steps=1, eval_steps=1)
    gold = fail_at({2, 3}, DataError("gold: judge toy gave no verdict"))
    tables = training.train_policies(sft, toy_material(gold=gold), settings, tmp_path)
    assert list(tables.trainings["stop_reason"]) == ["gold: judge toy gave no verdict", ""]
    gold = fail_at({1}, DataError("gold: judge toy gave no verdict"))
    with pytest.raises(DataError, match="gave no verdict"):  # on the SFT model
        training.train_policies(sft, toy_material(gold=gold), settings, tmp_path / "start")


@pytest.mark.parametrize(("method", "call"), [("ppo", 2), ("ppo", 3), ("rloo", 2), ("rloo", 3)])
def test_a_judge_that_cannot_continue_loses_no_step(
    method, call, sft, sft_folder, tmp_path, capsys
):
    """It stops at the measurement of step 2, or at that of the last step, 4."""
    settings = toy_settings(sft_folder, methods=[method], rl_steps=4, save_steps=9)
    gold = fail_at({call}, TeacherStop("money_cap"))
    with pytest.raises(TeacherStop, match="money_cap"):
        training.train_policies(sft, toy_material(gold=gold), settings, tmp_path / "stopped")
    resumed = training.train_policies(sft, toy_material(), settings, tmp_path / "stopped")
    assert f"resuming from checkpoint-{2 * call - 2}" in capsys.readouterr().out
    complete = training.train_policies(sft, toy_material(), settings, tmp_path / "complete")
    assert resumed.steps.equals(complete.steps)
    assert resumed.replies.equals(complete.replies)
    expected = read_weights(tmp_path / "complete", method)
    for name, weight in read_weights(tmp_path / "stopped", method).items():
        assert torch.equal(weight, expected[name]), name


@pytest.mark.parametrize("method", ["ppo", "rloo"])
def test_a_training_killed_before_its_record_takes_no_further_step(
    method, sft, sft_folder, tmp_path, monkeypatch
):
    def kill(*_):
        raise KeyboardInterrupt

    settings = toy_settings(sft_folder, methods=[method], rl_steps=4, save_steps=2)
    monkeypatch.setattr(training, "save_policy", kill)
    with pytest.raises(KeyboardInterrupt):
        training.train_policies(sft, toy_material(), settings, tmp_path)
    monkeypatch.undo()
    tables = training.train_policies(sft, toy_material(), settings, tmp_path)
    assert list(tables.steps["step"]) == [1, 2, 3, 4]


def test_a_training_that_ends_early_is_no_result(sft, sft_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(training.trl_methods, "train_with_trl", lambda *_: None)
    with pytest.raises(TrainingError, match="rloo ended at step 0 of 5; run it again"):
        train(sft, sft_folder, tmp_path, "rloo")
    assert not list(tmp_path.rglob("training.json"))


@pytest.mark.parametrize("method", ONLINE)
@pytest.mark.parametrize("eval_steps", [2, 5])
def test_a_kl_above_its_cap_stops_at_a_measurement_or_after_three_batches(
    eval_steps, method, sft, sft_folder, tmp_path, capsys
):
    rates = dict.fromkeys(METHODS, 2e-2)
    changes = {"kl_cap": 1e-6, "eval_steps": eval_steps, "learning_rates": rates}
    tables = train(sft, sft_folder, tmp_path, method, **changes)
    assert "above kl_cap, 1e-06" in tables.trainings["stop_reason"].item()
    assert tables.replies["step"].max() == tables.trainings["steps"].item() < 5
    assert tables.trainings["adapter"].item()
    assert "not measured" not in capsys.readouterr().out


@pytest.mark.parametrize("method", ONLINE)
def test_equal_rewards_stop_with_a_reason(method, sft, sft_folder, tmp_path):
    settings = toy_settings(sft_folder, methods=[method], rl_steps=8, eval_steps=8)
    equal = toy_material(proxy=lambda replies: torch.zeros(len(replies)))
    tables = training.train_policies(sft, equal, settings, tmp_path)
    assert "same reward" in tables.trainings["stop_reason"].item()
    assert tables.trainings["steps"].item() == 5


@pytest.mark.parametrize("method", ONLINE)
def test_replies_of_batches_that_collapsed_stop_a_training(
    method, sft, sft_folder, tmp_path, monkeypatch
):
    """After step 3, every reply is its end token only."""
    settings = toy_settings(sft_folder, methods=[method], rl_steps=8, eval_steps=8)
    original, hooks = training.Monitor.finish_step, []

    def add_to_end(_module, _inputs, logits):
        places = torch.arange(logits.shape[-1], device=logits.device)
        return logits + 50.0 * (places == sft.tokenizer.eos_token_id)

    def collapse_after_step_3(self, step, *rest):
        original(self, step, *rest)
        if step == 3:
            hooks.append(sft.model.get_output_embeddings().register_forward_hook(add_to_end))

    monkeypatch.setattr(training.Monitor, "finish_step", collapse_after_step_3)
    try:
        tables = training.train_policies(sft, toy_material(), settings, tmp_path)
    finally:
        for hook in hooks:
            hook.remove()
    reason = tables.trainings["stop_reason"].item()
    assert re.match(r"replies collapsed from [2-6]\.\d to 1\.0 tokens", reason)
    assert tables.trainings["steps"].item() == 6


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("dpo", {"pairs": []}, "methods: dpo needs preference pairs"),
        ("grpo_exam_key", {"exam_key": []}, "exam_key: grpo_exam_key needs training questions"),
        ("ppo", {"held_out": []}, "prompts: no held_out prompt"),
    ],
)
def test_missing_material_is_reported_before_the_first_training(
    method, changes, message, sft, tmp_path
):
    settings = toy_settings(methods=["rloo", method])
    with pytest.raises(ValueError, match=message):
        training.train_policies(sft, toy_material(**changes), settings, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_names_what_decides_a_training(sft):
    def make(method="ppo", seed=0, material=None, **changes):
        settings = toy_settings(**changes)
        return training.make_fingerprint(sft, method, seed, material or toy_material(), settings)

    base = make()
    assert base == make(save_steps=9, rankers=["judge"], reward_epochs=9)
    others = [
        make(seed=1),
        make("rloo"),
        make(clip_range=0.3),
        make(sampling_token_budget=300),
        make(material=toy_material(proxy_key="another reward model")),
        make(material=toy_material(training=[make_prompt(3)])),
    ]
    assert all(other != base for other in others)
    other_pairs = toy_material(pairs=toy_material().pairs[:2])
    assert make(material=other_pairs) == base
    assert make("dpo", material=other_pairs) != make("dpo")
    json.dumps(base)
    assert {rule, shapes} <= set(training.CODE)
