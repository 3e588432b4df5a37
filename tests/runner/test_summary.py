"""The summary at the end of a run: time, memory, energy, cost."""

import json
from types import SimpleNamespace

from tests.support.two_steps import LIGHT, run_first

from clinical_camel.runner.summary import summarize


def write_record(project, step, **changes):
    record = {"status": "complete", "seconds": 60.0, "attempts": [{}], "peak_memory_mb": 700}
    record |= {"study": "toy", "step": step, "headline": "", "artefacts": {}}
    record |= {"params": {}, "device": {}, "notes": {}}
    project.file(f"outputs/toy/{step}/run.json", json.dumps(record | changes))
    return SimpleNamespace(study="toy", step=step)


def test_the_summary_includes_interrupted_attempts_and_the_price_per_hour(project):
    first = write_record(project, "01_first", energy_wh=1.5, energy_from="RAPL")
    attempts = [{"seconds": 3600.0}, {}]
    second = write_record(project, "02_second", attempts=attempts, peak_memory_mb=1200)
    failed = write_record(project, "03_third", status="failed", seconds=9999.0)
    assert summarize([first, second, failed], rate=2.0) == (
        "summary: 1 h 2 min 0 s in 2 complete steps, peak memory 1,200 MB, 1.5 Wh (RAPL), "
        "cost 2.07 at 2 per hour"
    )
    assert summarize([failed]) == ""


def test_a_run_ends_with_the_summary_of_the_steps_that_it_executed(project, capsys):
    start = "from clinical_camel import runs\nrun = runs.start(study, '01_toy', 0)"
    project.notebook("01_toy", 'study: str = "toy"  # study', LIGHT + start, "run.finish('done')")
    project.params("toy", "01_toy", "study: toy\n")
    assert run_first("--rate", "3.5") == 0
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith("summary: ")
    assert line.endswith("at 3.5 per hour")
    assert "(estimated: 10 W per busy core)" in line or "RAPL" in line
    assert "in 1 complete steps" in line
    assert run_first("--rate", "3.5") == 0  # nothing was executed
    assert "summary" not in capsys.readouterr().out
    assert "energy_wh" in json.loads((project.root / "outputs/toy/01_toy/run.json").read_text())
