"""Error bars and layout of the figures of several steps."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from clinical_camel.core.figures import measure_errors, plot_intervals, tidy_figure


@pytest.fixture
def axes():
    yield plt.subplots()[1]
    plt.close("all")


def test_an_unknown_interval_has_no_length():
    lengths = measure_errors([0.5, 0.2], [0.4, np.nan], [0.75, np.nan])
    assert lengths == pytest.approx(np.array([[0.1, 0.0], [0.25, 0.0]]))


def test_an_interval_is_drawn_at_its_place_and_a_name_is_no_formula(axes):
    plot_intervals(axes, ([1.0], [0.5]), ([0.25], [1.0]), "$_sft", fmt="s", capsize=2)
    (container,) = axes.containers
    assert container.lines[0].get_xydata().tolist() == [[1.0, 0.5]]
    assert container.lines[0].get_marker() == "s"
    (bar,) = container.lines[2]
    assert bar.get_segments()[0].tolist() == [[1.0, 0.25], [1.0, 1.0]]
    assert container.get_label() == r"\$_sft"
    axes.figure.canvas.draw()


def test_a_tidy_figure_has_two_spines(axes):
    assert tidy_figure(axes.figure) is axes.figure
    visible = {name for name, spine in axes.spines.items() if spine.get_visible()}
    assert visible == {"left", "bottom"}
