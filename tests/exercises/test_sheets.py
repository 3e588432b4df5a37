"""Every exercise sheet runs before it is answered; every solution is right; both are one sheet."""

import pytest

from clinical_camel.exercises import sheets

NAMES = [sheet.stem for sheet in sheets.list_sheets()]
each_sheet = pytest.mark.parametrize("name", NAMES)


def find(kind: str, name: str):
    return next(sheet for sheet in sheets.list_sheets(kind) if sheet.stem == name)


def test_there_is_a_sheet_and_a_solution_for_each_of_the_notebook_with_exercises():
    notebooks = sorted((sheets.root() / "notebooks").glob("[01][0-9]_*.ipynb"))
    assert [book.stem for book in notebooks if book.stem != "00_results"] == NAMES
    assert [sheet.stem for sheet in sheets.list_sheets("solutions")] == NAMES


@each_sheet
def test_an_unanswered_sheet_runs_and_reveals_nothing(name):
    grades = sheets.select(sheets.run_sheet(find("exercises", name)), sheets.GRADE)
    assert len(grades) == 3
    for grade in grades:
        assert not any(line.startswith("Right.") for line in grade.output.splitlines())
    assert any(line.startswith("Open.") for line in grades[0].output.splitlines())


@each_sheet
def test_every_answer_of_a_solution_is_right_and_the_time_is_printed(name):
    cells = sheets.run_sheet(find("solutions", name))
    grades = sheets.select(cells, sheets.GRADE)
    assert len(grades) == 3
    for grade in grades:
        assert any(line.startswith("Right.") for line in grade.output.splitlines()), grade.output
    assert cells[-1].output.startswith("Processor time since the kernel started:")


@each_sheet
def test_a_solution_differs_from_its_sheet_in_the_answers_only(name):
    sheet, solution = (sheets.read_code(find(kind, name)) for kind in ("exercises", "solutions"))
    assert [cell.tags for cell in sheet] == [cell.tags for cell in solution]
    for one, other in zip(sheet, solution, strict=True):
        assert (one.source == other.source) == (sheets.ANSWER not in one.tags)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("01_dbke", "Take naproxen 500 mg twice a day"),
        ("06_controlled_comparison", "standard error"),
        ("07_reward_and_rl", "SFT probability"),
        ("09_score_checks", "exam: "),
    ],
)
def test_the_first_cell_prints_what_a_prediction_needs(name, part):
    first, *others = sheets.read_code(find("exercises", name))
    assert part in sheets.run_cell(first, {}).output
    (grade,) = sheets.select(sheets.select(others, sheets.GRADE), "exercise-1")
    assert "print" not in grade.source


def test_a_cell_shows_what_it_prints_and_its_last_value():
    names: dict[str, object] = {}
    first = sheets.run_cell(sheets.Cell((), "x = 2\nprint('a')\nx + 1"), names)
    assert first.output == "a\n3\n"
    assert sheets.run_cell(sheets.Cell((), "y = x"), names).output == ""
    assert names["y"] == 2
    with pytest.raises(ZeroDivisionError):
        sheets.run_cell(sheets.Cell((), "1 / 0"), names)
