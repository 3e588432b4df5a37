"""What a rehearsal measures and forecasts, and its file: outputs/<study>/rehearsal.json.

`plan` reads `machine` and `speeds` of it: operations per second by kind of work, of a GPU or of one
thread of a CPU, counted as `plan` counts them.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from clinical_camel.core.files import read_json, write_json
from clinical_camel.core.paths import root
from clinical_camel.estimate.measured import FILE


@dataclass(slots=True)
class Part:
    """One kind of work in a step: `done` of `total` units took `measured` seconds.

    `seconds`: forecast for all units, between `low` and `high`.
    """

    name: str
    unit: str
    done: float
    total: float
    measured: float
    seconds: float
    low: float
    high: float


@dataclass(slots=True)
class Trial:
    """One variant of a training: settings that give the same recipe, and what they need.

    `seconds`: of an optimizer step on the longest rows; `memory`: peak in bytes, 0 if unknown.
    """

    settings: dict[str, int]
    fits: bool
    seconds: float = 0.0
    memory: int = 0
    reason: str = ""


@dataclass(slots=True)
class Measured:
    """What the kernel of a step measured; written after each part, so that a kill loses little.

    `replaced`: seconds inside the functions that the rehearsal replaced. `free`: the processor
    seconds meanwhile, of all cores, that other processes did not use. `peak`: bytes of memory
    before variants were tried, 0 if that is the peak of the complete step. `weights`: own or
    random.
    """

    step: str
    parts: list[Part] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    replaced: float = 0.0
    free: float = 0.0
    peak: int = 0
    weights: str = ""

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Return the content of a file; None if there is none."""
        values = read_json(file)
        if not values:
            return None
        values["parts"] = [Part(**part) for part in values["parts"]]
        values["trials"] = [Trial(**trial) for trial in values["trials"]]
        return cls(**values)

    def write(self, file: Path) -> None:
        write_json(file, asdict(self))


@dataclass(slots=True)
class StepForecast:
    """The forecast of one step beside the estimate of `plan`; seconds as in run.json, bytes.

    `device`: gpu or cpu, whose memory `memory` and `memory_available` are; 0: unknown. `failed`:
    why the rehearsal of the step failed, or "". `processor_share`: of the cores that this work
    could have, on a CPU; 1: no other work. `change`: the setting to change, or "". `ratio`: work
    of the step over that of the sets on this machine, of which the parts are.
    """

    step: str
    seconds: float
    low: float
    high: float
    planned_seconds: float
    memory: int
    planned_memory: int
    memory_available: int
    device: str
    rehearsed: bool = True
    tokens_per_second: float = 0.0
    processor_share: float = 1.0
    ratio: float = 1.0
    money: float = 0.0
    failed: str = ""
    change: str = ""
    remarks: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Rehearsal:
    """The content of rehearsal.json. `speeds`: see the module; `code`: commit and source hash.

    `omitted`: steps of the study that were not named in the command; the decision is without them.
    `minutes`: as in the command; `elapsed`: minutes that it took.
    """

    study: str
    date: str
    code: dict[str, str]
    machine: dict[str, Any]
    speeds: dict[str, float]
    steps: list[StepForecast]
    go: bool
    reasons: list[str]
    rate: float
    minutes: float
    elapsed: float
    omitted: list[str] = field(default_factory=list)

    def write(self) -> Path:
        """Write the file and return its path."""
        file = root() / "outputs" / self.study / FILE
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, asdict(self))
        return file
