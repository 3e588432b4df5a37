"""The key is in no text, however an endpoint writes it."""

import base64
import html
import json
import urllib.parse

import pytest

from clinical_camel.teachers.secrets import KEY_VARIABLE, MASK, Mask, read_key

KEY = "sk-PLANTEDKEY/abc+def0123456789"
FORMS = {
    "plain": KEY,
    "JSON escapes": KEY.replace("/", "\\/").replace("+", "\\u002b"),
    "all of it escaped": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "percent": urllib.parse.quote(KEY, safe=""),
    "HTML": "".join(f"&#x{ord(c):x};" for c in KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of a header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"x:{KEY}".encode()).decode(),
    "hex": KEY.encode().hex(),
    "without its start": KEY[3:],
    "without its end": KEY[:-3],
}


def longest_piece(text: str) -> int:
    """The longest run of letters of the key, or of its base64, that a text shows."""
    shown = json.loads(f'"{text}"') if "\\" in text else html.unescape(urllib.parse.unquote(text))
    sizes = range(len(KEY), 0, -1)
    return next(
        (n for n in sizes if any(KEY[i : i + n] in shown for i in range(len(KEY) - n + 1))), 0
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_echoed_key_is_masked_in_messages_and_in_replies(form):
    text = f"bad key {FORMS[form]}, sorry"
    for hidden in (Mask(KEY).hide(text), Mask(KEY).hide_in_body(text.encode()).decode()):
        assert hidden.startswith("bad key ")
        assert MASK in hidden
        assert hidden.endswith(", sorry")
        assert longest_piece(hidden) < 8
        assert len(hidden) < len("bad key , sorry") + len(MASK) + 20


def test_half_a_key_is_masked_in_a_message():
    assert Mask(KEY).hide(f"key {KEY[:12]}**** refused") == f"key {MASK}**** refused"


def test_ordinary_words_of_a_reply_do_not_change():
    body = json.dumps({"text": "No key is required.\n\u00b5g EMPTY\\"}).encode()
    for key in ("sk-no-key-required", "EMPTY", "none", "a", ""):
        assert Mask(key).hide_in_body(body) == body
    odd = b"\xff\xfe not UTF-8 " + KEY.encode()
    assert Mask(KEY).hide_in_body(odd) == b"\xff\xfe not UTF-8 [key]"


@pytest.mark.parametrize("key", ["a b" * 9, "k\x1b" * 9, "k\n" * 9 + "k", "schlüssel" * 3])
def test_a_key_that_no_header_can_have_is_refused_without_being_shown(key, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, key)
    with pytest.raises(ValueError, match=f"^{KEY_VARIABLE}: contains white space, a control") as e:
        read_key()
    assert key not in str(e.value)


def test_white_space_at_the_ends_of_a_key_is_removed(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, f"\t{KEY} \r\n")
    assert read_key() == KEY
    monkeypatch.delenv(KEY_VARIABLE)
    assert read_key() == ""
