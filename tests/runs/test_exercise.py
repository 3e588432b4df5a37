"""The self-check of an exercise compares its table with that of the study."""

import pytest

from clinical_camel import runs

TUNED = "model == 'tuned'"


def write_table(project, study, values):
    folder = project.root / "outputs" / study / "03_third"
    folder.mkdir(parents=True)
    rows = "\n".join(f"{name},{value}" for name, value in values)
    (folder / "scores.csv").write_text(f"model,accuracy\n{rows}\n")


@pytest.mark.parametrize(
    ("changed", "prediction", "where", "message"),
    [
        (0.2, "lower", TUNED, "accuracy: 0.5 here, 0.2 in the exercise: lower, as predicted."),
        (
            0.7,
            "lower",
            TUNED,
            "accuracy: 0.5 here, 0.7 in the exercise: higher, you predicted lower.",
        ),
        (0.5, " Same", TUNED, "same, as predicted"),
        (0.5, "", TUNED, "Write your prediction first"),
        (None, "", "", "No outputs/scratch/03_third/scores.csv yet"),
        (0.5, "higher", "model == 'other'", "about mini_camel"),
    ],
)
def test_the_self_check_compares_the_exercise_with_the_study(
    changed, prediction, where, message, project, capsys
):
    write_table(project, "toy", [("base", 0.1), ("tuned", 0.5)])
    if changed is not None:
        write_table(project, "scratch", [("tuned", changed)])
    runs.self_check("toy", "03_third", "scores", "accuracy", prediction, where)
    assert message in capsys.readouterr().out


def test_a_prediction_that_is_no_direction_is_rejected(project):
    with pytest.raises(ValueError, match="'up' is not one of higher, lower, same"):
        runs.self_check("toy", "03_third", "scores", "accuracy", "up")
