"""What an article tells a model, in the open or disguised, comes into no dialogue."""

import json

import pytest
from tests.support.hostile import BENIGN, CANARY, HOSTILE
from tests.support.project import Memory, in_turn

from clinical_camel import dbke
from clinical_camel.data import Article, Dialogue, Section
from clinical_camel.dbke import checks, injection, prompt, synthesis

FACTS = ["Gout hurts at night.", "Naproxen helps the attack.", "The big toe swells."]


def article(name: str, text: str) -> Article:
    body = f"{FACTS[0]} {FACTS[1]}\n{text}\n{FACTS[2]}"
    return Article(id=name, title="gout", sections=[Section(heading="All", text=body)])


class Gullible(dbke.Teacher):
    """Does whatever the text that it is sent says, and copies it: the worst reader there is."""

    name, prompted = "gullible", True

    def reply(self, ask, store):
        sent = ask.messages[1]["content"]
        line = next((s for s in sent.splitlines() if CANARY in s), FACTS[2])
        turns = [f"What of {ask.request.id}?", FACTS[0], "What helps?", FACTS[1], "And else?", line]
        return {"raw": dbke.completion(json.dumps({"messages": in_turn(*turns)}), True)}


def settle(articles):
    requests = dbke.plan_requests(articles, [], 1, 3, seed=0)
    return list(dbke.verdicts(requests, dbke.Desk(Gullible(), Memory(), 2)))


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_a_hostile_article_asks_for_is_in_no_dialogue(kind):
    texts = HOSTILE[kind]
    assert len(texts) == 10
    for verdict in settle([article(f"{kind}-{i}", text) for i, text in enumerate(texts)]):
        said = json.dumps(verdict.dialogue.messages) if verdict.dialogue else ""
        assert CANARY not in said, verdict.request.article.sections[0].text


@pytest.mark.parametrize("text", HOSTILE["encoded"])
def test_what_is_encoded_is_read_as_well(text):
    assert injection.orders(text)


def test_the_screen_is_what_stops_them(monkeypatch):
    monkeypatch.setattr(injection, "orders", lambda text: "")
    monkeypatch.setattr(synthesis, "_orders", lambda text: "")  # it remembers articles
    texts = [article(str(i), text) for i, text in enumerate(HOSTILE["sets aside"])]
    said = [v for v in settle(texts) if v.dialogue and CANARY in json.dumps(v.dialogue.messages)]
    assert len(said) == 10


def test_an_article_is_screened_once_for_all_its_dialogues():
    requests = dbke.plan_requests([article("a", "Rest helps. Fluids help.")], [], 5, 3, seed=0)
    synthesis._orders.cache_clear()
    list(dbke.verdicts(requests, dbke.Desk(Gullible(), Memory(), 2)))
    assert synthesis._orders.cache_info()[:2] == (4, 1)


def test_at_most_one_of_twenty_benign_articles_is_lost():
    verdicts = settle([article(str(i), text) for i, text in enumerate(BENIGN)])
    lost = [v.request.article.sections[0].text for v in verdicts if not v.dialogue]
    assert len(BENIGN) == 20
    assert len(lost) <= 1, [(v.reason, v.request.id) for v in verdicts if not v.dialogue]


def test_a_set_aside_article_says_how_it_speaks_to_the_model():
    (verdict,) = settle([article("a", HOSTILE["sets aside"][0])])
    assert verdict.reason == "article sets the instructions aside"


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\u2066", "\U000e0041", "\xad", "\ufe0f"])
def test_characters_that_nobody_sees_do_not_reach_the_teacher(hidden):
    requests = dbke.plan_requests([article("a", f"Rest{hidden} helps.")], [], 1, 3, seed=0)
    sent = dbke.shown(dbke.build_messages(requests[0]))
    assert hidden not in sent
    assert "Rest helps." in sent


def test_powers_and_accents_reach_the_teacher_as_they_are():
    assert (
        injection.clean("10⁹ cells, ½ dose, naïve, µg\n\tx") == "10⁹ cells, ½ dose, naïve, µg\n\tx"
    )


def test_a_reply_that_repeats_the_prompt_is_set_aside():
    request = dbke.plan_requests([article("a", "")], [], 1, 3, 0)[0]
    messages = dbke.build_messages(request)

    def echo(turn):
        said = Dialogue(id="a", source="article", messages=in_turn("What helps?", turn))
        return checks.echo(said, request, messages)

    for echoed in (prompt.RULES[3], f"It ends at {prompt.code_of(messages)}."):
        assert echo(echoed) == "a turn repeats the prompt"
    assert echo(" ".join(FACTS)) == ""
