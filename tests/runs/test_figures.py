"""A figure whose texts are too small or overlap is named when it is saved."""

import matplotlib.pyplot as plt
import pytest

from clinical_camel.runs import figures


def draw(width: float, fontsize: float, ticks: list[str]):
    figure, axes = plt.subplots(figsize=(width, 3))
    axes.set_xticks(range(len(ticks)), ticks, fontsize=fontsize)
    axes.set_yticks([])
    axes.set_title("not drawn", fontsize=1, visible=False)
    return figure


@pytest.mark.parametrize(
    ("width", "fontsize", "is_small"),
    [(7, 8, False), (7, 7, True), (14, 11, True), (14, 16, False)],
)
def test_the_smallest_text_is_measured_at_800_pixels(width, fontsize, is_small):
    figure = draw(width, fontsize, ["one", "two"])
    problems = list(figures.check_readable(figure))
    plt.close(figure)
    assert len(problems) == is_small
    assert all(text.startswith("its smallest text 'one' is ") for text in problems)


def test_a_narrow_figure_is_not_enlarged():
    figure = draw(3, 8, ["one"])
    assert list(figures.check_readable(figure)) == []
    small = draw(3, 7.5, ["one"])
    (problem,) = figures.check_readable(small)
    assert "11.5 px high at a width of 800 px; draw a narrower figure" in problem
    plt.close(figure)
    plt.close(small)


def test_tick_labels_that_overlap_are_named():
    figure = draw(4, 10, [f"a long label {i}" for i in range(6)])
    (problem,) = figures.check_readable(figure)
    assert problem == "its tick labels 'a long label 0' and 'a long label 1' overlap"
    plt.setp(figure.axes[0].get_xticklabels(), rotation=30)
    assert list(figures.check_readable(figure)) == []
    plt.close(figure)
