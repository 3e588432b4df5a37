"""The figure of notebook 02: the window of its running mean, and the ends of its epochs."""

import pandas as pd
import pytest

from clinical_camel import sft_qlora


@pytest.mark.parametrize(
    ("steps", "num_epochs", "window", "ends"), [(40, 4.0, 2, [10, 20, 30]), (3, 1.0, 1, [])]
)
def test_the_legend_names_the_window_and_epochs_are_marked(steps, num_epochs, window, ends):
    log = pd.DataFrame({"step": range(1, steps + 1), "loss": 1.0, "validation_loss": float("nan")})
    figure = sft_qlora.plot_loss(log, num_epochs)
    axes = figure.axes[0]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"mean of the last {window} steps" in labels
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert marks == pytest.approx(ends)
