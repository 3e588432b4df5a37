"""The figures of step 03: what is drawn, and that labels do not overlap."""

import itertools

import numpy as np
import pytest
from tests.support.toy_scores import scores

from clinical_camel import eval_fewshot
from clinical_camel.core.colours import MODEL_COLOURS


def test_scores_have_a_panel_per_benchmark_and_a_tick_per_evaluation():
    keys = ("benchmark", "protocol", "model")
    rows = itertools.product(("a", "b"), ("letter", "chat"), ("base", "tuned"))
    table = scores(*(dict(zip(keys, row, strict=True)) for row in rows), variant="as_given")
    figure = eval_fewshot.plot_scores(table)
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["letter\n5-shot\nn = 1273", "chat\n5-shot\nn = 1273"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(legend) == {"base", "tuned", "chance", "most frequent answer"}
    at_chance = eval_fewshot.plot_scores(table.assign(majority=0.25))
    assert "most frequent answer" not in [t.get_text() for t in at_chance.legends[0].get_texts()]
    assert figure.axes[0].get_ylim() == (0, 70)  # the highest interval ends at 63 %


def test_many_evaluations_of_a_benchmark_have_several_panels():
    rows = [{"protocol": f"protocol_{k}", "model": "base"} for k in range(8)]
    figure = eval_fewshot.plot_scores(scores(*rows, variant="as_given"))
    assert [axis.get_title() for axis in figure.axes] == ["medqa_us", "medqa_us, continued"]
    assert [len(axis.get_xticks()) for axis in figure.axes] == [4, 4]
    assert figure.get_figwidth() < 800 / 110


def find_chance(axis):
    lines = [line for line in axis.get_lines() if line.get_linestyle() == "--"]
    return [(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in lines]


def test_free_answers_have_their_own_chance_line():
    same = {"variant": "as_given", "model": "base"}
    listed, free = {"protocol": "letter"}, {"protocol": "plain_reply", "chance": 0.0}
    axis = eval_fewshot.plot_scores(scores(listed, free, **same)).axes[0]
    assert find_chance(axis) == [((-0.4, 0.4), (25, 25)), ((0.6, 1.4), (0, 0))]
    axis = eval_fewshot.plot_scores(scores(free, **same)).axes[0]
    assert find_chance(axis) == [((0, 1), (0, 0))]
    axis = eval_fewshot.plot_protocols(scores(listed, free, **same)).axes[0]
    assert [x for x, _ in find_chance(axis)] == [(25, 25), (0, 0)]
    (first, second) = (y for _, y in find_chance(axis))
    assert min(first) >= max(second)  # each at the height of its protocol
    axis = eval_fewshot.plot_protocols(scores(listed, listed | {"protocol": "chat"}, **same)).axes[
        0
    ]
    assert [x for x, _ in find_chance(axis)] == [(25, 25)]


def test_all_protocols_differ_in_colour_and_in_marker():
    count = len(eval_fewshot.PROTOCOLS)
    rows = [{"protocol": name} for name in eval_fewshot.PROTOCOLS]
    axis = eval_fewshot.plot_protocols(scores(*rows)).axes[0]
    lines = [container.lines[0] for container in axis.containers]
    assert len({line.get_color() for line in lines}) == count
    assert len({line.get_marker() for line in lines}) == count


def test_ten_benchmarks_in_eight_protocols_have_a_dot_each_and_a_range():
    rows = [
        {"benchmark": f"benchmark_{i}", "protocol": f"protocol_{k}", "correct": 400 + 50 * k}
        for i in range(10)
        for k in range(8)
    ]
    figure = eval_fewshot.plot_protocols(scores(*rows))
    axis = figure.axes[0]
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["27.5 points\n31.4 to 58.9"] * 10
    assert len(axis.containers) == 80
    figure.draw_without_rendering()
    heights = sorted(label.get_window_extent().y0 for label in axis.get_yticklabels())
    tallest = max(label.get_window_extent().height for label in axis.get_yticklabels())
    assert min(np.diff(heights)) > tallest  # labels do not overlap


def test_protocols_of_several_models_are_rejected():
    with pytest.raises(ValueError, match="scores of base, tuned; select one model"):
        eval_fewshot.plot_protocols(scores({"model": "base"}, {}))


def test_a_model_has_its_colour_and_no_protocol_has_it():
    models = ("base", "raw", "dialogues")
    table = scores(*({"model": name, "variant": "as_given"} for name in models))
    axis = eval_fewshot.plot_scores(table).axes[0]
    colours = [container.lines[0].get_color() for container in axis.containers]
    assert colours == MODEL_COLOURS[:3]
    protocols = scores(*({"protocol": name} for name in eval_fewshot.PROTOCOLS))
    axis = eval_fewshot.plot_protocols(protocols).axes[0]
    assert not {c.lines[0].get_color() for c in axis.containers} & set(colours)
