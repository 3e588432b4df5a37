"""New words: those of no prompt and no reference."""

from clinical_camel.reward_and_rl.new_words import collect_words, count_new_words
from clinical_camel.reward_and_rl.shapes import Prompt


def make_prompt(text, reference):
    return Prompt("p", "g", [{"role": "user", "content": text}], reference)


def test_words_of_prompts_and_references_are_not_new_in_any_form():
    words = collect_words([make_prompt("What causes gout?", "Crystals of urate.")])
    assert count_new_words("GOUT: a crystal of urate causes it.", words) == 2  # a, it
    assert count_new_words("gout, crystals", words) == 0
    assert count_new_words("frothyfa crystals mattered", words) == 2
    assert count_new_words("", words) == 0


def test_a_chinese_character_is_a_word():
    words = collect_words([make_prompt("什么是痛风", "痛风是病")])
    assert count_new_words("痛风病", words) == 0
    assert count_new_words("痛风药", words) == 1
