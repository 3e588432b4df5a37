"""A dialogue next to its source: each sentence with its support."""

from tests.support.project import make_messages
from tests.support.toy_dbke import plan_requests

from clinical_camel import dbke
from clinical_camel.data import Dialogue


def test_each_sentence_has_the_number_of_its_source_or_the_reason_why_there_is_none():
    answer = "Naproxen helps the attack. Cats have rashes. Is there <pain>?"
    chat = Dialogue(id="d", source="article", messages=make_messages("What helps & why?", answer))
    page = dbke.render_side_by_side(chat, plan_requests()[0])
    assert "Naproxen helps the attack. <b>[4]</b>" in page
    assert "[4] Naproxen helps the attack." in page
    assert "Cats have rashes. <b>(" in page
    assert "Is there &lt;pain&gt;?</p>" in page  # a question needs no support
