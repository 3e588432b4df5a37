"""Published accuracies: what is drawn, and that labels do not overlap."""

from matplotlib.colors import to_rgba
from tests.support.toy_scores import published_rows

from clinical_camel import published


def test_the_counts_of_published_values_do_not_leave_their_panel():
    rows = published_rows({}, {"benchmark": "pubmedqa", "n": 1000})
    figure = published.plot_published(published.assess_published(rows))
    figure.draw_without_rendering()
    first, second = (axis.get_tightbbox() for axis in figure.axes)
    assert second.y1 < first.y0
    ticks = [axis.get_yticklabels()[0].get_text() for axis in figure.axes]
    assert ticks == ["camel:70b, n = 1,273", "camel:70b, n = 1,000"]
    assert figure.axes[0].containers[0].lines[0].get_ydata()[0] == 0  # at its label


def test_a_recalled_value_is_drawn_hollow():
    rows = published_rows({"value": 60.7}, {"value": 45.2, "size": "13b", "status": "recalled, x"})
    figure = published.plot_published(published.assess_published(rows))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "s"]
    faces = [to_rgba(line.get_markerfacecolor()) == to_rgba("white") for line in dots]
    assert faces == [False, True]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["5-shot", "5-shot (recalled, no source found)", "chance"]
