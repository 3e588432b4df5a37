"""The kernel of a rehearsed notebook: exactly the functions that take hours are replaced."""

import pytest

from clinical_camel import data, dbke, eval_fewshot, models, note_synthesis, sft_qlora
from clinical_camel.rehearse import kernel
from clinical_camel.rehearse.record import Measured
from clinical_camel.rehearse.task import Task

SHARED = [(models, "load"), (models, "load_base"), (models, "identify_model")]
OWN = {
    "01_dbke": [(dbke, "prepare"), (dbke, "synthesise")],
    "02_sft_qlora": [(data, "load_training_rows"), (sft_qlora, "train")],
    "03_eval_fewshot": [(eval_fewshot, "answer_all")],
    "04_note_synthesis": [(note_synthesis, "write_notes")],
}


@pytest.mark.parametrize("step", OWN)
def test_only_the_functions_of_the_step_are_replaced(step, tmp_path, monkeypatch):
    places = [*SHARED, *(place for names in OWN.values() for place in names)]
    before = {(package, name): getattr(package, name) for package, name in places}
    for (package, name), function in before.items():
        monkeypatch.setattr(package, name, function)  # restored after the test
    file = tmp_path / "task.json"
    Task(step, 5.0, str(tmp_path / "measured.json"), {"rows": 3}).write(file)
    kernel.take_part(str(file))
    replaced = {place for place, function in before.items() if getattr(*place) is not function}
    assert replaced == {*SHARED, *OWN[step]}
    assert Measured.read(tmp_path / "measured.json").step == step
