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


def test_an_exam_question_is_sent_with_its_key_and_its_passages():
    (request,) = plan_requests([QUESTION], dialogues=0)
    sent = dbke.build_messages(request)[1]["content"]
    assert "(B) allopurinol" in sent
    assert 'first turn is "allopurinol."' in sent
    assert toy_teacher.TEXT.search(sent)[2] == "Allopurinol later prevents it."


def test_the_prompt_permits_a_denial_of_other_options_and_rewording_with_linked_support():
    (request,) = plan_requests([QUESTION], dialogues=0)
    sent = dbke.build_messages(request, support="linked")[1]["content"]
    assert 'Of another option the assistant may also say "naproxen is not the answer."' in sent
    assert "Say it anew" in sent
    assert "Say it anew" not in dbke.build_messages(request)[1]["content"]


def test_eight_consecutive_words_of_a_rule_are_an_echo():
    words = prompt.RULES[3].split()
    assert prompt.repeats_prompt(" ".join(["So:", *words[4:12]]))
    assert not prompt.repeats_prompt(" ".join(words[4:11]))
