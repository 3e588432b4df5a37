"""What a notebook declares in its parameters cell, and which parameters it reads."""

import pytest
from tests.support.project import Project

from clinical_camel.runs.notebooks import (
    Param,
    ParamsError,
    find_data_step,
    find_unread_params,
    hash_code,
    list_steps,
    read_cells,
    read_parameters_cell,
)

CELL = """\
learning_rate: float = 2.0e-4  # AdamW # peak
folders: dict[str, str] = {
    "base": "",
}  # name: folder
group: dict = {"kind": "a"}
"""


def test_the_parameters_cell_has_annotations_and_defaults(project):
    assert read_parameters_cell(project.notebook("01_first", CELL)) == {
        "learning_rate": Param("float", 2e-4),
        "folders": Param("dict[str, str]", {"base": ""}),
        "group": Param("dict", {"kind": "a"}),
    }


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("seed = 0", "only `name: annotation = value"),
        ("import os", "only `name: annotation = value"),
        ("seed: int | None = 0", "int | None is not allowed"),
        ("seed: dict[int, str] = {}", "is not allowed"),
        ("seed: list[list[list[int]]] = []", "is not allowed"),
        ("seed: int = 1 + len('x')", "must be a literal"),
        ("seed: int = 1.0", "1.0 is float, not int"),
        ("seed: int = 0\nseed: int = 1", "seed is declared twice"),
        ("seed: int = ", "line 1: "),
    ],
)
def test_an_unreadable_parameters_cell_is_rejected(cell, message, project):
    with pytest.raises(ParamsError) as error:
        read_parameters_cell(project.notebook("01_first", cell))
    assert message in str(error.value)


def test_a_notebook_without_a_parameters_cell_is_rejected(project):
    notebook = project.notebook("01_first", "seed: int = 0")
    notebook.write_text(notebook.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(ParamsError, match="0 cells are tagged"):
        read_parameters_cell(notebook)


def test_a_parameter_counts_as_read_in_code_only(project):
    cells = ("%matplotlib inline\nprint(f'{seed}')", "depth = 2", "%%bash\necho width")
    declared = "seed: int = 0\ndepth: int = 1\nwidth: int = 1"
    assert find_unread_params(project.notebook("01_first", declared, *cells)) == ["depth", "width"]


def test_prose_layout_and_defaults_do_not_change_the_hash_of_the_code(project):
    def hash_cell(default: int, code: str) -> str:
        notebook = project.notebook("01_first", f"seed: int = {default}", code)
        return hash_code(read_cells(notebook))

    assert hash_cell(0, "print( seed )") == hash_cell(1, "# a comment\nprint(seed)")
    assert hash_cell(0, "print(seed)") != hash_cell(0, "print(-seed)")


def test_the_hash_is_the_same_in_every_version_of_python():
    code = "def f(a, *b):\n    return [a, {}, lambda: []]\n\nprint(f'{f(1)!r:>5}', f())"
    cell = {"cell_type": "code", "metadata": {}, "source": code}
    assert hash_code([cell]) == "fb3eb0735b1c4e55721b6dfe4d865239b8e70a5fd4f84054711e8076c4355059"


def test_the_set_up_cell_does_not_change_the_hash(project):
    notebook = project.notebook("01_first", "seed: int = 0", "install()", "print(seed)")
    cells = read_cells(notebook)
    with_setup, without = hash_code(cells), hash_code([*cells[:2], *cells[3:]])
    assert with_setup != without
    cells[2]["metadata"]["tags"] = ["setup"]
    assert hash_code(cells) == without


def test_a_project_without_notebooks_says_how_to_get_them(project: Project):
    with pytest.raises(FileNotFoundError, match="run from a checkout"):
        list_steps()


def test_the_page_of_results_is_not_the_step_that_makes_the_data(project):
    for step in ("00_results", "02_second", "01_first"):
        project.notebook(step, "study: str = ''")
    assert list_steps() == ["00_results", "01_first", "02_second"]
    assert find_data_step() == "01_first"
