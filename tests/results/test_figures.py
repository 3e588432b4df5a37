"""Figure 1: one colour per model, chance, readable labels that do not overlap."""

import itertools

import pytest
from matplotlib.colors import to_hex
from tests.support import toy_results

from clinical_camel import results
from clinical_camel.core.colours import MODEL_COLOURS


def test_the_figure_needs_a_score(settings):
    with pytest.raises(ValueError, match="run the control study first"):
        results.plot_forms(results.tabulate_forms(settings))


def test_models_have_their_colours_and_labels_do_not_overlap(project, settings):
    toy_results.save_control(project)
    toy_results.save_comparison(project)
    figure = results.plot_forms(results.tabulate_forms(settings))
    figure.draw_without_rendering()
    (axis,) = figure.axes
    colours = [to_hex(container.lines[0].get_color()) for container in axis.containers]
    assert colours == [colour.lower() for colour in MODEL_COLOURS[:3]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(names) == {"base model", "raw articles", "dialogues", "guessing (25 %)"}
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert ticks[0] == "plain text\nn = 260, 10 trainings each"
    assert ticks[2] == "options listed\nn = 300, one training each"
    for one, other in itertools.pairwise(axis.get_xticklabels()):
        assert one.get_window_extent().x1 < other.get_window_extent().x0
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) == 9
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_texts_are_readable_at_800_pixels(project, settings):
    toy_results.save_control(project)
    figure = results.plot_forms(results.tabulate_forms(settings))
    (axis,) = figure.axes
    labels = [*axis.get_xticklabels(), *axis.get_yticklabels(), *axis.texts]
    smallest = min(text.get_fontsize() for text in labels)  # in points of 1/72 inch
    assert smallest / 72 * 800 / figure.get_figwidth() >= 12
