"""The self-check of an exercise compares its table with that of the study."""

import pytest

from clinical_camel import runs


def write_table(project, study, values):
    folder = project.root / "outputs" / study / "03_third"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{name},{value}" for name, value in values)
    (folder / "scores.csv").write_text(f"model,accuracy\n{rows}\n")


@pytest.mark.parametrize(
    ("changed", "prediction", "message"),
    [
        (0.2, "lower", "accuracy: 0.5 here, 0.2 in the exercise: lower, as predicted."),
        (0.7, "lower", "accuracy: 0.5 here, 0.7 in the exercise: higher, you predicted lower."),
        (0.5, "same", "same, as predicted"),
        (0.5, "", "Write your prediction first"),
    ],
)
def test_the_self_check_compares_the_exercise_with_the_study(
    changed, prediction, message, project, capsys
):
    write_table(project, "toy", [("base", 0.1), ("tuned", 0.5)])
    write_table(project, "scratch", [("tuned", changed)])
    where = "model == 'tuned'"
    runs.self_check("toy", "03_third", "scores", "accuracy", prediction, where)
    assert message in capsys.readouterr().out


def test_without_an_exercise_the_self_check_names_its_table(project, capsys):
    write_table(project, "toy", [("base", 0.1)])
    runs.self_check("toy", "03_third", "scores", "accuracy", "")
    assert "No outputs/scratch/03_third/scores.csv yet" in capsys.readouterr().out


def test_a_study_without_the_requested_row_is_not_compared(project, capsys):
    for study in ("toy", "scratch"):
        write_table(project, study, [("base", 0.1)])
    where = "model == 'tuned'"
    runs.self_check("toy", "03_third", "scores", "accuracy", "higher", where)
    assert "about mini_camel" in capsys.readouterr().out


def test_a_prediction_that_is_no_direction_is_rejected(project):
    with pytest.raises(ValueError, match="'up' is not one of higher, lower, same"):
        runs.self_check("toy", "03_third", "scores", "accuracy", "up")
