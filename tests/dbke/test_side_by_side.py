"""A dialogue next to its source: each sentence with its support."""

from tests.support.project import make_messages
from tests.support.toy_dbke import plan_requests

from clinical_camel import dbke
from clinical_camel.data import Article, Dialogue, Section
from clinical_camel.dbke import RejectedReply


def test_each_sentence_has_the_number_of_its_source_or_the_reason_why_there_is_none():
    answer = "Naproxen helps the attack. Cats have rashes. Is there <pain>?"
    chat = Dialogue(id="d", source="article", messages=make_messages("What helps & why?", answer))
    page = dbke.render_side_by_side(chat, plan_requests()[0])
    assert "Naproxen helps the attack. <b>[4]</b>" in page
    assert "[4] Naproxen helps the attack." in page
    assert "Cats have rashes. <b>(" in page
    assert "Is there &lt;pain&gt;?</p>" in page  # a question needs no support


def test_a_sentence_that_the_source_repeats_is_shown_once():
    text = "Naproxen helps the attack."
    sections = [Section(heading=heading, text=text) for heading in ("Treatment", "Drugs")]
    article = Article(id="gout", title="gout", licence="CC0", sections=sections)
    chat = Dialogue(id="d", source="article", messages=make_messages("What helps?", text))
    page = dbke.render_side_by_side(chat, dbke.plan_requests([article], [], 1, 2, 0)[0])
    source, turns = page.split("<b>d</b>")
    assert source.count(text) == 1
    number = source.partition(text)[0].rpartition("[")[2].partition("]")[0]
    assert f"{text} <b>[{number}]</b>" in turns


def test_a_rejected_reply_has_its_reason_and_a_frame_around_the_sentence():
    request = plan_requests(dialogues=1)[0]
    answer = "Gout hurts. Cats have <rashes>. Dogs have rashes."
    chat = Dialogue(id=request.id, source="article", messages=make_messages("Well?", answer))
    reason = 'an assistant sentence is unsupported (words): "Cats have <rashes>." words: no cats'
    replies = [RejectedReply(chat, "a turn is empty"), RejectedReply(chat, reason)]
    page = dbke.render_rejected(replies, {request.id: request})
    assert "<b>Rejected:</b> an assistant sentence is unsupported (words)" in page
    framed = page.split("outline:")[1:]
    assert len(framed) == 1
    assert "Cats have &lt;rashes&gt;." in framed[0].partition("</span></span>")[0]
    assert "Dogs have rashes." not in framed[0].partition("</span></span>")[0]


def test_a_run_without_rejected_replies_says_so():
    assert "No reply was rejected" in dbke.render_rejected([], {})


def test_of_a_reply_without_a_dialogue_the_beginning_is_shown():
    none = Dialogue(id="d", source="article", messages=[])
    reply = RejectedReply(none, "reply was cut at the token limit", "def ask():\n" + "<x> " * 500)
    page = dbke.render_rejected([reply], {})
    assert "<b>Rejected:</b> reply was cut at the token limit" in page
    assert "def ask(): &lt;x&gt;" in page
    assert page.count("&lt;x&gt;") < 200
