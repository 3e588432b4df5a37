"""What the figures of step 07 show."""

import pandas as pd
from tests.support.toy_measures import make_exams, make_replies

from clinical_camel.reward_and_rl import changes, figures, measures


def test_the_figures_show_every_method_and_measure():
    methods = ("ppo", "rloo")
    replies = make_replies((0.3, -0.2, 4), methods=methods)
    curves = changes.tabulate_curves(replies, make_exams(1, methods))
    figure = figures.plot_measures(curves)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title().partition("; SFT: ")[0] for axes in shown]
    assert titles == list(measures.LABELS.values())
    assert all(len(axes.lines) == 3 for axes in shown)  # the third is zero
    line = shown[0].lines[0]
    assert [round(x) for x in line.get_xdata()] == [0, 10]
    expected = curves.query("method == 'ppo' and measure == 'proxy'")
    assert list(line.get_ydata()) == list(expected["change"])
    assert f"SFT: {expected['mean'].iloc[0]:.2f}" in shown[0].get_title()
    proxy, gold = figures.plot_rewards_against_kl(curves).axes
    assert list(proxy.lines[0].get_xdata()) == [0.0, 2.0]
    assert proxy.lines[0].get_ydata()[1] > proxy.lines[0].get_ydata()[0]
    assert gold.lines[0].get_ydata()[1] < gold.lines[0].get_ydata()[0]


def test_the_figure_of_batches_has_no_line_for_dpo():
    steps = pd.DataFrame(
        {
            "method": ["ppo", "ppo", "dpo", "dpo"],
            "step": [1, 2, 1, 2],
            "reward": [0.1, 0.2, None, None],
        }
    )
    (axes,) = figures.plot_training_rewards(steps).axes
    assert [line.get_label() for line in axes.lines] == ["PPO"]
    assert not figures.plot_training_rewards(steps[2:]).axes[0].lines


def test_the_reward_of_the_exam_s_key_has_a_panel_of_its_own():
    methods = ["ppo", "ppo", "grpo_exam_key", "grpo_exam_key"]
    steps = pd.DataFrame({"method": methods, "step": [1, 2] * 2, "reward": [0.1, 0.2, 1, 0]})
    one, other = figures.plot_training_rewards(steps).axes
    assert [line.get_label() for line in one.lines] == ["PPO"]
    assert [line.get_label() for line in other.lines] == ["GRPO, exam key"]
    assert other.get_title().startswith("correct answers minus")
    (alone,) = figures.plot_training_rewards(steps[2:]).axes
    assert [line.get_label() for line in alone.lines] == ["GRPO, exam key"]
