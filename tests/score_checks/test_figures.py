"""The reliability diagram: what is drawn."""

import pandas as pd
import pytest
from tests.support.toy_scores import answers_of

from clinical_camel import score_checks, stats
from clinical_camel.core.colours import MODEL_COLOURS
from clinical_camel.score_checks import figures


def test_calibration_has_the_diagonal_and_a_point_with_interval_per_large_group():
    table = pd.DataFrame(
        {"benchmark": "a", "model": ["base", "base", "tuned"], "n": [10, 9, 40]}
        | {"confidence": [0.2, 0.8, 0.5], "accuracy": [1.0, 0.6, 0.5]}
    )
    table = table.replace({"base": "_$\\frac$", "tuned": "cost $5 and $6"})  # names are no formulas
    figure = score_checks.plot_calibration(table)
    axis = figure.axes[0]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["perfectly calibrated", r" _\$\frac\$", r"cost \$5 and \$6"]
    points = [container.lines[0].get_xydata().tolist() for container in axis.containers]
    shifted = 50 + figures.SHIFT
    assert points == [[[20, 100]], [[shifted, 50]]]  # not the group of nine, no joined lines
    low, high = axis.containers[1].lines[2][0].get_segments()[0].T[1]
    assert (low, high) == pytest.approx([100 * x for x in stats.wilson_interval(20, 40)])
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert 0 < legend.y0 < legend.y1 < axis.get_window_extent().y0  # below the points, on the page


def test_calibration_of_replies_says_that_there_is_none():
    empty = score_checks.compute_calibration(answers_of(base=[True]).assign(confidence=None))
    axis = score_checks.plot_calibration(empty).axes[0]
    assert axis.get_title() == "a written reply has no confidence"


def test_a_model_has_the_colour_of_all_figures():
    models = {"model": ["base", "raw", "dialogues"]}
    table = pd.DataFrame(models).assign(benchmark="a", n=40, confidence=0.5, accuracy=0.5)
    axis = score_checks.plot_calibration(table).axes[0]
    colours = [container.lines[0].get_color() for container in axis.containers]
    assert colours == MODEL_COLOURS[:3]
