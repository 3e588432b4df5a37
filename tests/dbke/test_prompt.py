"""The prompt: complete, reproducible, and without the author of the text in control."""

from tests.support import toy_teacher
from tests.support.toy_dbke import GOUT, QUESTION, plan_requests

from clinical_camel import dbke
from clinical_camel.dbke import prompt


def show(request, **more):
    return dbke.format_prompt(dbke.build_messages(request, **more))


def test_the_prompt_depends_on_the_seed_only():
    first, same, other = (show(dbke.plan_requests([GOUT], [], 1, 5, seed)[0]) for seed in (0, 0, 1))
    assert first == same != other


def test_the_prompt_contains_role_example_rules_schema_and_text():
    sent = show(plan_requests(exchanges=5)[0])
    for part in ("You write conversations", "velmar ague", "Write 5 exchanges", '"required"'):
        assert part in sent
    assert toy_teacher.TEXT.search(sent)[2].startswith("# gout")


def test_the_page_leaves_out_the_middle_of_a_long_article_and_says_how_much():
    messages = [{"role": "user", "content": "\n".join(map(str, range(200)))}]
    page = dbke.format_prompt(messages).split("\n")
    assert len(page) == 78
    assert page[:2] == ["[user]", "0"]
    assert page[-1] == "199"
    (mark,) = [line for line in page if line.startswith("...")]
    assert mark == f"... ({201 - 77} lines of the article are not shown)"
    short = [{"role": "user", "content": "\n".join(map(str, range(77)))}]
    assert "not shown" not in dbke.format_prompt(short)


def test_an_exam_question_is_sent_with_its_key_its_passages_and_a_denial_of_other_options():
    (request,) = plan_requests([QUESTION], dialogues=0)
    sent, linked = (
        dbke.build_messages(request, support=support)[1]["content"] for support in dbke.SUPPORT
    )
    assert "(B) allopurinol" in sent
    assert 'first turn is "allopurinol."' in sent
    assert (
        'About any other option, the assistant may also say "naproxen is not the answer."' in sent
    )
    assert toy_teacher.TEXT.search(sent)[2] == "Allopurinol later prevents it."
    assert "Reword it as in a conversation" in linked
    assert "Reword it as in a conversation" not in sent


def test_eight_consecutive_words_of_a_rule_are_an_echo():
    words = prompt.RULES[3].split()
    assert prompt.repeats_prompt(" ".join(["So:", *words[4:12]]))
    assert not prompt.repeats_prompt(" ".join(words[4:11]))
