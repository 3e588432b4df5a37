"""The task of one rehearsed step, passed from the command to the kernel as a file."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from clinical_camel.core.files import write_json
from clinical_camel.rehearse.cores import measure_other_work
from clinical_camel.rehearse.record import Measured


@dataclass(slots=True)
class Task:
    """What the kernel of a step is to do.

    `seconds`: for the measured part. `facts`: counts of the complete step, from `plan`. `results`:
    the file that gets what was measured.
    """

    step: str
    seconds: float
    results: str
    facts: dict[str, Any] = field(default_factory=dict)
    measured: Measured = field(default_factory=lambda: Measured(""))

    @classmethod
    def read(cls, file: Path) -> Self:
        values = json.loads(file.read_text(encoding="utf-8"))
        task = cls(**values)
        task.measured = Measured(task.step)
        return task

    def write(self, file: Path) -> None:
        values = asdict(self)
        del values["measured"]
        write_json(file, values)

    def save(self) -> None:
        """Write what was measured so far."""
        self.measured.write(Path(self.results))

    @contextlib.contextmanager
    def replace(self) -> Iterator[None]:
        """Within this context, the time is that of a replaced function; afterwards all is saved."""
        start, others = time.monotonic(), measure_other_work()
        try:
            yield
        finally:
            seconds = time.monotonic() - start
            used = max(0.0, measure_other_work() - others)
            self.measured.replaced += seconds
            self.measured.free += max(0.0, (os.cpu_count() or 1) * seconds - used)
            self.save()
