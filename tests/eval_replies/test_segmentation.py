"""Words and tokens by script."""

import importlib
import tempfile

import pytest

from clinical_camel.eval_replies.segmentation import (
    CHINESE,
    LATIN,
    OTHER,
    find_script,
    split_tokens,
    split_words,
)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("您好，您需要多喝水，注意休息。", CHINESE),
        ("建议服用 amoxicillin 胶囊，每日三次，饭后服用。", CHINESE),
        ("The patient 张三 has had a fever.", LATIN),
        ("Sí, tiene fiebre.", LATIN),
        ("120/80", LATIN),
        ("熱があります。", OTHER),
        ("Температура 39", OTHER),
        ("", LATIN),
    ],
)
def test_the_script_of_most_letters_counts(text, script):
    assert find_script(text) == script


def test_chinese_is_split_into_words_or_characters():
    text = "建议服用阿莫西林0.5g。"
    words = split_tokens(text, CHINESE, "jieba")
    assert words == ["建议", "服用", "阿莫西林", "0.5", "g", "。"]
    characters = split_tokens(text, CHINESE, "characters")
    assert characters == [*"建议服用阿莫西林", "0.5", "g", "。"]


def test_words_have_no_punctuation_and_no_case():
    assert split_words("Naproxen 500 mg; then REST!") == ["naproxen", "500", "mg", "then", "rest"]
    assert split_words("头痛，发热！") == ["头痛", "发热"]
    assert split_words("Жар и кашель.") == ["жар", "и", "кашель"]
    assert split_words("") == []


def test_accents_stay_in_a_word():
    """rouge-score's own tokenizer would make "fi vre" of it."""
    assert split_words("Fièvre élevée") == ["fièvre", "élevée"]


def test_no_cache_file_is_left_where_others_can_write(monkeypatch, tmp_path):
    segmentation = importlib.import_module("clinical_camel.eval_replies.segmentation")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    segmentation._jieba.cache_clear()
    assert segmentation._jieba()("头痛发热") == ["头痛", "发热"]
    assert list(tmp_path.iterdir()) == []
