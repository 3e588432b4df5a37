"""Speeds that `rehearse` measured for a study on this machine, in place of those of `speed`.

They are in outputs/<study>/rehearsal.json: operations per second by kind of work, of a GPU or of
one thread of a CPU, counted as `speed` counts them.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from clinical_camel.core.files import read_json
from clinical_camel.core.paths import root
from clinical_camel.estimate.speed import Machine
from clinical_camel.runner.jobs import PlanError
from clinical_camel.runs.machine import describe_device

FILE = "rehearsal.json"
KINDS = ("training", "scoring", "generation")  # those that `plan` uses


def read_speeds(study: str, name: str) -> tuple[dict[str, float], str]:
    """Return the operations per second of a profile for a study, and the date; {} if not measured.

    A rehearsal on another machine than the profile's, or on another CPU than this one, does not
    count. Raises PlanError for a file with something else than speeds above 0.
    """
    content = read_json(root() / "outputs" / study / FILE)
    device, speeds = content.get("machine", {}), content.get("speeds", {})
    if not speeds or not isinstance(device, Mapping) or not _is_profile(device, name):
        return {}, ""
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
    threads = 1 if device.get("gpu") else int(device.get("threads", 1))
    totals = {kind: threads * speeds[kind] for kind in KINDS if kind in speeds}
    return totals, str(content.get("date", ""))


def _is_profile(device: Mapping[str, Any], name: str) -> bool:
    """Whether a rehearsal was on a machine of this profile, and if on a CPU, on this CPU."""
    if gpus := device.get("gpu"):
        return name in gpus[0].lower()
    return name.startswith("cpu") and device.get("cpu") == describe_device()["cpu"]


def replace_speeds(profile: Machine, speeds: Mapping[str, float]) -> Machine:
    """Return a profile with measured speeds, which include what `speed` counts separately."""
    changed: dict[str, float] = {}
    if "training" in speeds:
        changed |= {"flops": speeds["training"], "unpacks_in_training": False}
        changed |= {"scoring_flops": profile.scoring_flops or profile.flops}
    if "scoring" in speeds:
        changed |= {"scoring_flops": speeds["scoring"], "attention_flops": 0.0}
    if "generation" in speeds:
        changed |= {"generation_flops": speeds["generation"]}
    return dataclasses.replace(profile, **changed)
