"""A free answer, written without having seen the options: is it the correct one?

An answer is normalised as in SQuAD (Rajpurkar et al. 2016, arXiv:1606.05250): lower case, without
punctuation and English articles. Unlike there, a capital A that does not begin the text is no
article: "hepatitis A" is not "hepatitis". Two readings are scored: `parse_exact`, the first line or
its first sentence is the answer, and `contains_answer`, its words occur in the reply.
"""

import re
import unicodedata
from collections.abc import Sequence

from clinical_camel.eval_fewshot.replies import UNREAD

OTHER = -2  # a reply that is the text of no option; UNREAD is an empty one
_ARTICLES = re.compile(r"\b(?:a|an|the)\b|^\W*(?:A|An|The)\b")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


def normalize_answer(text: str) -> str:
    """Return a text in lower case, without punctuation, articles and extra white space.

    >>> normalize_answer("The  Anti-CCP antibodies.")
    'anticcp antibodies'
    """
    text = _ARTICLES.sub(" ", unicodedata.normalize("NFKC", text)).lower()
    characters = (c for c in text if unicodedata.category(c)[0] not in "PC" or c.isspace())
    return " ".join("".join(characters).split())


def parse_exact(reply: str, options: Sequence[str]) -> int:
    """Return the option whose text is the reply, from 0; OTHER for none, UNREAD if it is empty.

    The reply is its first line with text, or the first sentence of this line.
    """
    line = next((line for line in reply.splitlines() if normalize_answer(line)), "")
    if not line:
        return UNREAD
    readings = [normalize_answer(text) for text in (line, *_SENTENCE_END.split(line.strip())[:1])]
    texts = [normalize_answer(option) for option in options]
    return next((texts.index(reading) for reading in readings if reading in texts), OTHER)


def contains_answer(reply: str, answer: str) -> bool:
    """Return whether the words of an answer occur in a reply, in a row.

    A reply that rejects the answer ("not rest") or lists several answers contains it, too.
    """
    return f" {normalize_answer(answer)} " in f" {normalize_answer(reply)} "


def is_complete(reply: str, has_ended: bool) -> bool:
    """Return whether a reply has a first line that the model itself ended.

    `has_ended`: the model wrote its end token before the limit of tokens.
    """
    lines = reply.strip().splitlines()
    return bool(lines) and (has_ended or len(lines) > 1)
