"""Train one policy per method and seed, measure it, and resume what was interrupted.

Every training starts from the SFT model. Its folder has checkpoints while it runs, and afterwards
the adapter and `training.json`, its history. A killed study continues with the training that was
killed, from its newest complete checkpoint.
"""

import dataclasses
import inspect
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from transformers.trainer_utils import rotate_checkpoints

from clinical_camel.core.files import read_json, write_json
from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import root
from clinical_camel.data import DataError
from clinical_camel.models import LLM, ModelError, checkpoints
from clinical_camel.models.checkpoints import Fingerprint, TrainingError
from clinical_camel.reward_and_rl import (
    guards,
    material,
    measures,
    new_words,
    ppo,
    processes,
    rollouts,
    rule,
    sampling,
    shapes,
    trl_methods,
)
from clinical_camel.reward_and_rl.guards import StoppedTraining
from clinical_camel.reward_and_rl.material import Material
from clinical_camel.reward_and_rl.measures import Rows, measure_policy
from clinical_camel.reward_and_rl.rollouts import (
    Policy,
    has_finite_weights,
    open_policy,
    save_policy,
)
from clinical_camel.reward_and_rl.settings import DPO, EXAM_KEY, PPO, RewardAndRl
from clinical_camel.teachers import TeacherStop

RECORD, HISTORY = "training.json", "history.json"
EXAM_COLUMNS = ("method", "seed", "step", "exam", "question_id", "group", "correct", "chance")
# the settings that decide a training; those of the rewards are in the keys of `Material`
DECISIVE = (
    *("max_new_tokens", "temperature", "rl_steps", "prompts_per_step", "num_generations"),
    *("kl_coefficient", "kl_cap", "clip_range", "gae_lambda", "ppo_epochs", "value_learning_rate"),
    *("truncation_penalty", "eval_steps", "eval_limit", "exam_key_shows_options"),
    *("token_budget", "sampling_token_budget"),
)
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")
CODE = (sys.modules[__name__], guards, material, measures, new_words, ppo, rollouts, rule)
CODE += (sampling, shapes, trl_methods)


@dataclasses.dataclass(slots=True)
class History:
    """What happened in a training, in rows ready for JSON; `stop_reason` is "" if it finished."""

    steps: Rows = dataclasses.field(default_factory=list)
    replies: Rows = dataclasses.field(default_factory=list)
    exams: Rows = dataclasses.field(default_factory=list)
    stop_reason: str = ""
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Trainings:
    """All trainings as tables.

    `steps`: method, seed, step and the figures of each batch. `replies`, `exams`: the rows of
    `measures.measure_policy` with method, seed and step. `trainings`: method, seed, steps,
    stop_reason, seconds, adapter (its folder in the results of the step; "" if it has NaN).
    """

    steps: pd.DataFrame
    replies: pd.DataFrame
    exams: pd.DataFrame
    trainings: pd.DataFrame


def train_policies(llm: LLM, material: Material, settings: RewardAndRl, folder: Path) -> Trainings:
    """Train every method with every seed; return the tables of all trainings.

    `llm` is the SFT model (of `models.load`). Raises ModelError for a model without an adapter, and
    ValueError before the first training for a method without its material. A training that fails
    (NaN, a KL above its cap, collapsed replies, equal rewards) is stopped with its reason, and the
    next one starts.
    """
    require_material(material, settings)
    histories: dict[tuple[str, int], History] = {}
    starts: dict[int, tuple[Rows, Rows]] = {}  # the SFT model is measured once per seed
    jobs = [(method, seed) for seed in settings.seeds for method in settings.methods]

    def train(number: int, method: str, seed: int) -> None:
        print(f"training {number} of {len(jobs)}: {method}, seed {seed}", flush=True)
        place = folder / f"{method}_{seed}"
        histories[method, seed] = train_policy(
            llm, method, seed, material=material, settings=settings, place=place, starts=starts
        )

    def read_finished() -> None:
        for method, seed in jobs:
            fingerprint = make_fingerprint(llm, method, seed, material, settings)
            if history := read_history(folder / f"{method}_{seed}", fingerprint):
                histories[method, seed] = history

    numbered = [(number, *job) for number, job in enumerate(jobs, start=1)]
    read_finished()
    if histories:
        print(f"{len(histories)} of {len(jobs)} trainings ended in an earlier run", flush=True)
    unfinished = [job for job in numbered if job[1:] not in histories]
    count = processes.count_processes(settings, len(unfinished))
    if count > 1:
        print(f"{count} processes train; the progress of one is shown", flush=True)
    processes.share_jobs(unfinished, train, count)
    read_finished()  # those of the other processes
    for job in numbered:  # those of a process that failed or hung
        if job[1:] not in histories:
            train(*job)
    ordered = {(m, s): histories[m, s] for m in settings.methods for s in settings.seeds}
    return _tabulate(ordered, folder)


def require_material(material: Material, settings: RewardAndRl) -> None:
    """Raise ValueError for a method without its material, with the remedy."""
    for name in ("training", "held_out"):
        if not getattr(material, name):
            raise ValueError(f"prompts: no {name} prompt; use more prompts")
    if DPO in settings.methods and not material.pairs:
        raise ValueError(f"methods: {DPO} needs preference pairs; make them, or remove {DPO}")
    if EXAM_KEY in settings.methods and not material.exam_key:
        raise ValueError(f"exam_key: {EXAM_KEY} needs training questions; name a set of them")


def read_history(place: Path, fingerprint: Fingerprint) -> History | None:
    """Return the history of a training in this folder; None unless it is finished."""
    record = read_json(place / RECORD)
    return History(**record["history"]) if record.get("key") == key_hash(fingerprint) else None


def train_policy(
    llm: LLM,
    method: str,
    seed: int,
    *,
    material: Material,
    settings: RewardAndRl,
    place: Path,
    starts: dict[int, tuple[Rows, Rows]] | None = None,
) -> History:
    """Train one policy in folder `place` and save it there; return its history.

    One that is finished, with the same material, settings and code, is only read. `starts`: the
    measurements of the SFT model by seed, filled here.
    """
    fingerprint = make_fingerprint(llm, method, seed, material, settings)
    if finished := read_history(place, fingerprint):
        return finished
    (place / RECORD).unlink(missing_ok=True)
    saves = place / checkpoints.name_folder(fingerprint)
    saves.mkdir(parents=True, exist_ok=True)
    checkpoints.report_unused(saves, fingerprint)
    newest = checkpoints.find_newest_complete(saves, fingerprint)
    history = History(**read_json(Path(newest) / HISTORY)) if newest else History()
    with open_policy(llm) as policy:
        monitor = Monitor(policy, material, settings, seed, history, saves, fingerprint)
        if not history.replies:
            monitor.add_start({} if starts is None else starts)
        monitor.start_clock()
        try:
            _run(method, monitor, newest)
        except StoppedTraining as error:
            history.stop_reason = str(error)
            print(f"stopped at step {monitor.step}: {error}", flush=True)
            monitor.measure_after_stop()
        history.seconds += monitor.stop_clock()
        save_policy(policy, root() / llm.source["adapter"], place / "adapter")
    write_json(
        place / RECORD, {"key": key_hash(fingerprint), "history": dataclasses.asdict(history)}
    )
    for folder in place.glob("checkpoints-*"):
        shutil.rmtree(folder)
    return history


def _run(method: str, monitor: "Monitor", newest: str | None) -> None:
    """Train by one method, from the newest checkpoint if there is one."""
    try:
        if method == PPO:
            ppo.train_ppo(
                monitor.policy,
                monitor.material,
                monitor.settings,
                monitor.seed,
                checkpoint=Path(newest) if newest else None,
                on_step=monitor.finish_step,
                on_start=monitor.measure_pending,
            )
        else:
            trl_methods.train_with_trl(method, monitor, newest)
    except ModelError as error:
        if "NaN" not in str(error):
            raise
        remedy = "" if "reward model" in str(error) else "; use a lower learning rate"
        raise StoppedTraining(f"{error}{remedy}") from error
    except RuntimeError as error:  # torch.multinomial, in the sampling of transformers
        if "probability tensor" not in str(error):
            raise
        raise StoppedTraining("the logits have NaN; use a lower learning rate") from error
    if monitor.step < monitor.settings.rl_steps:
        raise TrainingError(
            f"{method} ended at step {monitor.step} of {monitor.settings.rl_steps}; run it again "
            "to resume from its newest checkpoint"
        )


@dataclasses.dataclass(slots=True)
class Monitor:
    """Follows a training: records each step, measures, prints, stops it, saves checkpoints."""

    policy: Policy
    material: Material
    settings: RewardAndRl
    seed: int
    history: History
    saves: Path
    fingerprint: Fingerprint
    started: float = 0.0
    first_step: int = 0

    @property
    def step(self) -> int:
        """The number of finished steps."""
        return len(self.history.steps)

    def start_clock(self) -> None:
        """Start the time of this run."""
        self.started, self.first_step = time.monotonic(), self.step

    def stop_clock(self) -> float:
        """Return the seconds since the start of this run."""
        return time.monotonic() - self.started

    def add_start(self, starts: dict[int, tuple[Rows, Rows]]) -> None:
        """Measure the SFT model, or take its measurement from an earlier training."""
        if self.seed not in starts:
            starts[self.seed] = measure_policy(self.policy, self.material, self.settings, self.seed)
        self._add_measurement(0, *starts[self.seed])

    def finish_step(
        self, step: int, figures: Mapping[str, float], save: Callable[[Path], None] | None = None
    ) -> None:
        """Record a step; measure and save if it is time. Raises StoppedTraining; TeacherStop, once
        the step is saved, if the judge cannot continue."""
        if step != self.step + 1:
            raise RuntimeError(f"step {step} follows step {self.step}")
        self.history.steps.append({"step": step, **figures})
        self._print(step, figures)
        if reason := guards.check_steps(self.history.steps, self.settings):
            raise StoppedTraining(reason)
        if self.is_measurement_due():
            try:
                self.measure(step)
            except TeacherStop:
                if save:
                    self.save(step, save)
                raise
        if save and step % self.settings.save_steps == 0 and step < self.settings.rl_steps:
            self.save(step, save)

    def measure(self, step: int) -> None:
        """Measure the policy. Raises StoppedTraining for a KL above the cap, a collapse, and
        replies on which the judge gives no verdicts."""
        try:
            replies, exams = measure_policy(self.policy, self.material, self.settings, self.seed)
        except DataError as error:
            raise StoppedTraining(str(error)) from error
        self._add_measurement(step, replies, exams)
        kl = _average(replies, "kl")
        if not kl <= self.settings.kl_cap:
            raise StoppedTraining(guards.describe_kl(kl, self.settings.kl_cap))
        start = [row for row in self.history.replies if row["step"] == 0]
        lengths = _average(start, "tokens"), _average(replies, "tokens")
        if reason := guards.check_collapse(*lengths):
            raise StoppedTraining(reason)

    def is_measurement_due(self) -> bool:
        """Return whether the policy is measured at this step."""
        return self.step % self.settings.eval_steps == 0 or self.step == self.settings.rl_steps

    def measure_pending(self) -> None:
        """Measure a policy from a checkpoint that the judge could not measure."""
        if self.step and self.is_measurement_due() and not self.is_measured():
            self.measure(self.step)

    def measure_after_stop(self) -> None:
        """Measure a stopped policy once more, unless it has NaN or the judge stops, too."""
        if self.is_measured() or not has_finite_weights(self.policy):
            return
        try:
            self.measure(self.step)
        except (StoppedTraining, ModelError, TeacherStop) as error:
            if not self.is_measured():
                print(f"not measured after the stop: {error}", flush=True)

    def is_measured(self) -> bool:
        """Return whether there is a measurement at this step."""
        return any(row["step"] == self.step for row in self.history.replies)

    def save(self, step: int, save: Callable[[Path], None]) -> None:
        """Write a checkpoint with the history; it counts once its manifest is written."""
        checkpoint = self.saves / f"checkpoint-{step}"
        shutil.rmtree(checkpoint, ignore_errors=True)
        checkpoint.mkdir()
        save(checkpoint)
        self.publish(checkpoint)

    def publish(self, checkpoint: Path) -> None:
        """Complete a checkpoint: history, manifest; then delete old ones."""
        history = dataclasses.asdict(self.history)
        history["seconds"] += self.stop_clock()
        write_json(checkpoint / HISTORY, history)
        checkpoints.publish(checkpoint, self.fingerprint)
        rotate_checkpoints(str(self.saves), checkpoints.LIMIT, None)

    def _add_measurement(self, step: int, replies: Rows, exams: Rows) -> None:
        self.history.replies += measures.label_rows(replies, {"step": step})
        self.history.exams += measures.label_rows(exams, {"step": step})

    def _print(self, step: int, figures: Mapping[str, float]) -> None:
        steps = self.settings.rl_steps
        if step % max(1, steps // 5):
            return
        rest = self.stop_clock() / max(1, step - self.first_step) * (steps - step)
        shown = [f"{n} {figures[n]:.3g}" for n in ("reward", "kl", "length") if n in figures]
        shown = shown or [f"loss {figures['loss']:.3g}"]
        print(f"step {step:>5} of {steps}   {'   '.join(shown)}   {rest:.0f} s left", flush=True)


def _average(rows: Rows, name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)


def make_fingerprint(
    llm: LLM, method: str, seed: int, material: Material, settings: RewardAndRl
) -> Fingerprint:
    """Return everything that decides the result of a training, by name."""
    rate = settings.learning_rates[method]
    used: dict[str, Any] = {"method": method, "rl_seed": seed, "learning_rate": rate}
    used |= {name: getattr(settings, name) for name in DECISIVE}
    names = ["training", "held_out", "exams"]
    names += ["pairs"] if method == DPO else []
    names += ["exam_key"] if method == EXAM_KEY else []
    rows = {name: key_hash(_list_rows(getattr(material, name))) for name in names}
    return {
        **used,
        **rows,
        "proxy": key_hash(material.proxy_key),
        "gold": key_hash(material.gold_key),
        **{f"sft_{name}": value for name, value in llm.source.items()},
        "dtype": str(llm.model.config.dtype),
        "code": key_hash([inspect.getsource(module) for module in CODE]),
        **{package: version(package) for package in PACKAGES},
    }


def _list_rows(rows: Sequence[Any] | Mapping[str, Sequence[Any]]) -> Any:
    if isinstance(rows, Mapping):
        return {name: _list_rows(part) for name, part in rows.items()}
    return [dataclasses.asdict(row) for row in rows]


def _tabulate(histories: Mapping[tuple[str, int], History], folder: Path) -> Trainings:
    tables: dict[str, Rows] = {"steps": [], "replies": [], "exams": [], "trainings": []}
    for (method, seed), history in histories.items():
        labels = {"method": method, "seed": seed}
        for name in ("steps", "replies", "exams"):
            tables[name] += measures.label_rows(getattr(history, name), labels)
        adapter = folder / f"{method}_{seed}" / "adapter"
        tables["trainings"].append(
            labels
            | {"steps": len(history.steps), "stop_reason": history.stop_reason}
            | {"seconds": round(history.seconds, 1)}
            | {"adapter": f"{folder.name}/{adapter.parent.name}/adapter" * adapter.is_dir()}
        )
    frames = {name: pd.DataFrame(rows) for name, rows in tables.items()}
    if frames["exams"].empty:  # `exam` and `primer_exam` are empty
        frames["exams"] = pd.DataFrame(columns=[*EXAM_COLUMNS])
    return Trainings(**frames)
