"""Tests of the drawing of the design."""

from clinical_camel.controlled_comparison.drawing import plot_design


def test_every_arm_is_drawn_once_and_every_contrast_is_explained():
    figure = plot_design(["dialogue - raw", "unmasked - dialogue", "mine - raw"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    for arm in ("dialogue:", "raw:", "unmasked:", "mine"):
        assert sum(text.startswith(arm) for text in texts) == 1
    contrasts = next(text for text in texts if text.startswith("Contrasts"))
    assert "1. dialogue \N{MINUS SIGN} raw: the paper's question" in contrasts
    assert "3. mine \N{MINUS SIGN} raw: a further contrast" in contrasts


def test_only_arms_of_our_forms_start_from_the_same_sentences():
    for contrasts, start in (
        (["dialogue - raw", "unmasked - dialogue"], "the same\nsentences"),
        (["dialogue - raw", "passes_20 - raw"], "the same\narticles"),
        (["dialogue - paraphrase"], "the same\narticles"),
    ):
        texts = [text.get_text() for text in plot_design(contrasts).axes[0].texts]
        assert start in texts
    assert "paraphrase: the articles,\nreworded by a model" in texts


def test_no_box_is_cut_off_with_two_arms():
    axis = plot_design(["dialogue - raw"]).axes[0]
    bottom, top = axis.get_ylim()
    for box in axis.patches:
        assert top <= box.get_y()
        assert box.get_y() + box.get_height() <= bottom
