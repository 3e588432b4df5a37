"""rehearsal.json, and what a kernel leaves for the command."""

import json

from clinical_camel.rehearse.record import Measured, Part, Rehearsal, Trial


def test_what_a_kernel_measured_is_read_as_it_was_written(tmp_path):
    part = Part("steps", "optimizer steps", 3, 30, 1.0, 10.0, 9.0, 11.0)
    measured = Measured("02_sft_qlora", [part], [Trial({"batch_size": 1}, fits=True)], ["slow"])
    measured.write(tmp_path / "measured.json")
    assert Measured.read(tmp_path / "measured.json") == measured
    assert Measured.read(tmp_path / "missing.json") is None


def test_the_file_has_what_plan_reads(project, forecast_of):
    speeds = {"training": 9e10, "scoring": 1.5e11}
    machine = {"cpu": "a CPU", "threads": 2}
    rehearsal = Rehearsal(
        *("my_study", "2026-01-01", {"commit": "abc"}, machine, speeds, [forecast_of()], True, []),
        *(2.5, 10.0, 9.0),
    )
    file = rehearsal.write()
    assert file == project.root / "outputs/my_study/rehearsal.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    assert {"study", "date", "code", "machine", "speeds"} <= values.keys()
