"""The machine of a rehearsal, and its speeds in place of those of `speed`.

They are in outputs/<study>/rehearsal.json: operations per second by kind of work, of a GPU or of
one thread of a CPU, counted as `speed` counts them.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.estimate import speed
from clinical_camel.estimate.shapes import Base
from clinical_camel.runner.jobs import PlanError
from clinical_camel.runs.machine import describe_device

FILE = "rehearsal.json"
KINDS = {  # of work that a rehearsal measures, by the step
    "02_sft_qlora": "training",
    "03_eval_fewshot": "scoring",
    "04_note_synthesis": "generation",
}


@dataclass(frozen=True, slots=True)
class RehearsedMachine:
    """The machine of a rehearsal. `device`: the name of its GPU, without one of its CPU.

    `profile`: the nearest in MACHINES. `memory`: bytes of its GPU; 0: a CPU, or unknown. `speeds`:
    operations per second by kind of work, of the GPU or of all threads.
    """

    device: str
    profile: str
    memory: int
    speeds: Mapping[str, float]
    date: str

    def is_named(self, name: str) -> bool:
        """Whether a profile is that of this machine: of its GPU's name, or of this CPU."""
        if self.profile in speed.GPUS:
            return speed.find_profile(self.device) == name
        return name.startswith("cpu") and self.device == describe_device()["cpu"]


def read_machine(study: str) -> RehearsedMachine | None:
    """Return the machine of a study's rehearsal; None without one, or if it measured no speed.

    Raises PlanError for a damaged file, and for something else than speeds above 0.
    """
    file = root() / "outputs" / study / FILE
    content = read_json(file)
    if not content and file.exists():
        raise PlanError(
            f"outputs/{study}/{FILE}: is damaged; delete the file, or run `rehearse` again"
        )
    device, speeds = content.get("machine"), content.get("speeds")
    if not speeds or not isinstance(device, Mapping):
        return None
    if not isinstance(speeds, Mapping):
        raise PlanError(
            f"outputs/{study}/{FILE}: speeds: {speeds!r} has no kinds of work; delete the file, or "
            "run `rehearse` again"
        )
    for kind, value in speeds.items():
        if not isinstance(value, int | float) or not 0 < value < math.inf:
            raise PlanError(
                f"outputs/{study}/{FILE}: speeds.{kind}: {value!r} is no speed above 0; delete the "
                "file, or run `rehearse` again"
            )
    gpu = next(iter(device.get("gpu") or ()), "")
    memory = int(device.get("memory", 0)) if gpu else 0
    threads = 1 if gpu else int(device.get("threads", 1))
    return RehearsedMachine(
        device=gpu or str(device.get("cpu", "")),
        profile=speed.choose_nearest(gpu, memory) if gpu else "cpu",
        memory=memory,
        speeds={kind: threads * value for kind, value in speeds.items()},
        date=str(content.get("date", "")),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the steps of a study are estimated.

    `name`: of a profile, or "" if the base model decides. `is_rehearsed`: the place is the machine
    `rehearsed`; otherwise only its speeds count, and only if the profile is that of the machine.
    """

    name: str
    rehearsed: RehearsedMachine | None
    is_rehearsed: bool

    @classmethod
    def choose(cls, study: str, name: str, by_rehearsal: bool) -> Self:
        """Return the named place, else the machine of the rehearsal if `by_rehearsal`."""
        rehearsed = read_machine(study)
        if name or rehearsed is None or not by_rehearsal:
            return cls(name, rehearsed, False)
        return cls(rehearsed.profile, rehearsed, True)

    def describe(self) -> dict[str, Any]:
        """Return fields of `Cost` on the machine of a rehearsal; {} if it is not the place."""
        if self.rehearsed is None or not self.is_rehearsed:
            return {}
        return {"device": self.rehearsed.device, "capacity": self.rehearsed.memory}

    def find_profile(self, step: str, base: Base) -> tuple[speed.Machine, dict[str, Any]]:
        """Return the profile for a step with a base model, and the fields of `Cost` about it.

        Only a step that was rehearsed has measured speeds; others have those of the profile.
        """
        name = speed.choose_machine(base, self.name)
        profile, fields = speed.MACHINES[name], {"machine": name} | self.describe()
        if fields.get("capacity"):
            profile = dataclasses.replace(profile, memory=fields["capacity"])
        rehearsed, kind = self.rehearsed, KINDS.get(step, "")
        if rehearsed is None or not (self.is_rehearsed or rehearsed.is_named(name)):
            return profile, fields
        if kind not in rehearsed.speeds:
            return profile, fields
        profile = replace_speeds(profile, {kind: rehearsed.speeds[kind]})
        return profile, fields | {"measured": rehearsed.date}


def replace_speeds(profile: speed.Machine, speeds: Mapping[str, float]) -> speed.Machine:
    """Return a profile with measured speeds, which include what `speed` counts separately.

    The measured time of a training includes its validation, and that of an exam its replies.
    """
    changed: dict[str, float] = {}
    if "training" in speeds:
        changed |= {"flops": speeds["training"], "is_training_measured": True}
        changed |= {"scoring_flops": math.inf}
    if "scoring" in speeds:
        changed |= {"scoring_flops": speeds["scoring"], "attention_flops": 0.0}
        changed |= {"layer_seconds": 0.0, "weights_per_second": math.inf}
    if "generation" in speeds:
        changed |= {"generation_flops": speeds["generation"]}
    return dataclasses.replace(profile, **changed)
