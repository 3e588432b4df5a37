r"""The API key: read from the environment, kept out of every reply, record and message.

Endpoints repeat a key in error messages: as it is, shortened, escaped as JSON (`\u002b`, `\/`),
percent-encoded, in base64 or in hex. `Mask` finds these, and every long piece of the key; not a
key in other letter case.
"""

import base64
import functools
import os
import re

KEY_VARIABLE = "TEACHER_API_KEY"  # the only source of a key; no other provider's variable is read
MASK = "[key]"
PIECE = 8  # a shared run of so many characters is masked in messages
LONG_PIECE = 16  # in replies, whose ordinary words must not change
_ESCAPE = re.compile(r"\\u00([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|&#x([0-9a-fA-F]{2});|\\([/\"\\])")


def read_key() -> str:
    """Return the key without white space at its ends; "" if the variable is not set.

    Raises ValueError, which names the variable and not the key, for a key that no header can have.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if key and not all("!" <= character <= "~" for character in key):
        raise ValueError(
            f"{KEY_VARIABLE}: contains white space, a control character or a letter that is not "
            "ASCII; copy the key again"
        )
    return key


class Mask:
    """Replaces a key, its pieces and its encodings by MASK.

    A key of fewer than 8 characters (`EMPTY`, `none`) is a placeholder and no secret.

    >>> Mask("sk-0123456789abcdef").hide("no key sk\\u002d012345678, sorry")
    'no key [key], sorry'
    """

    def __init__(self, key: str) -> None:
        self.key = key if len(key) >= PIECE else ""

    def hide(self, text: str, piece: int = PIECE) -> str:
        """Return a text without any run of `piece` characters of the key, escapes decoded."""
        pieces = _list_pieces(self.key, piece)
        if not any(part in variant for variant in {text, _decode(text)} for part in pieces):
            return text
        units = _split_units(text)
        decoded = "".join(character for _, _, character in units)
        covered = [False] * len(units)
        for part in pieces:
            at = decoded.find(part)
            while at >= 0:
                covered[at : at + len(part)] = [True] * len(part)
                at = decoded.find(part, at + 1)
        shown: list[str] = []
        for (start, end, _), is_secret in zip(units, covered, strict=True):
            if not is_secret:
                shown.append(text[start:end])
            elif not shown or shown[-1] != MASK:
                shown.append(MASK)
        return "".join(shown)

    def hide_in_body(self, body: bytes) -> bytes:
        """Return a body as received, but without the key; unchanged if it does not contain it."""
        if not self.key:
            return body
        text = body.decode("utf-8", errors="surrogateescape")
        hidden = self.hide(text, LONG_PIECE)
        return body if hidden == text else hidden.encode("utf-8", errors="surrogateescape")


@functools.lru_cache(maxsize=8)
def _list_pieces(key: str, size: int) -> tuple[str, ...]:
    """Return all runs of `size` characters of the key, and of its base64 in each alignment."""
    pieces = _list_runs(key, size) if key else []
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + key.encode())
        core = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4].decode()
        for text in {core, core.replace("+", "-").replace("/", "_"), key.encode().hex()}:
            if len(text) >= PIECE and key:
                pieces += _list_runs(text, max(size, 12))
    return tuple(dict.fromkeys(pieces))


def _list_runs(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(max(1, len(text) - size + 1))]


def _decode(text: str) -> str:
    return _ESCAPE.sub(_decode_match, text) if re.search(r"\\|%|&#", text) else text


def _decode_match(match: re.Match) -> str:
    digits = match[1] or match[2] or match[3]
    return chr(int(digits, 16)) if digits else match[4]


def _split_units(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, decoded character) of each character or escape of a text."""
    units, at = [], 0
    for match in _ESCAPE.finditer(text):
        units += [(i, i + 1, text[i]) for i in range(at, match.start())]
        units.append((match.start(), match.end(), _decode_match(match)))
        at = match.end()
    return units + [(i, i + 1, text[i]) for i in range(at, len(text))]
