"""Tests of grounding.language."""

import pytest

from clinical_camel import grounding


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The patient said that the pain had begun two days before.", "en"),
        ("Le patient a mal à la gorge depuis trois jours et il tousse.", "fr"),
        ("患者发热三天，咳嗽，伴有头痛。", "zh"),
        ("120/80, 37.5", ""),
    ],
)
def test_the_language_of_a_text_is_detected(text, code):
    assert grounding.detect_language(text) == code
