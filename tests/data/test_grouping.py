"""Groups of conversations: equal questions are never in two."""

import random

from clinical_camel.data.grouping import hash_question, name_group, unite_groups


def ask(*texts):
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def test_a_chain_of_shared_keys_is_one_group_in_any_order():
    """gout - asthma - scabies share keys in a chain; eczema shares none."""
    rows = [("gout", 1), ("eczema", 2), ("scabies", 3), ("gout", 4), ("asthma", 4), ("asthma", 3)]
    for seed in range(20):
        random.Random(seed).shuffle(rows)
        united = unite_groups(*zip(*rows, strict=True))
        names = dict(zip((group for group, _ in rows), united, strict=True))
        assert names["gout"] == names["asthma"] == names["scabies"]
        assert names["eczema"] == "eczema"
        assert names["gout"] == next(group for group, _ in rows if group != "eczema")


def test_all_user_turns_identify_a_question_whatever_its_punctuation():
    equal = ask("My toe hurts.", "Since when?", "Monday!"), ask("my toe hurts", "Why?", "Monday")
    assert len(set(map(hash_question, equal))) == 1
    other = ask("My eye hurts.", "Since when?", "Monday!"), ask("Monday"), ask("?"), ask("...")
    assert len(set(map(hash_question, (equal[0], *other)))) == 5


def test_questions_in_any_script_differ():
    texts = ("痛风的病因是什么?", "痛风如何治疗?", "Что вызывает подагру?", "")
    assert len({hash_question(ask(text)) for text in texts}) == 4


def test_the_group_is_all_before_the_last_slash():
    assert [name_group(id) for id in ("a/b/c", "a", "/a", "")] == ["a/b", "a", "/a", ""]
