"""Detect the language of a text."""

import re

import py3langid


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of a text's language (py3langid: 97 languages, no network).

    Reliable for dialogues and pages, not for a line of a few words; "" for a text without a letter.

    >>> detect_language("What helps against a headache? Rest, and enough to drink.")
    'en'
    >>> detect_language("Was hilft gegen Kopfschmerzen? Ruhe, und genug trinken.")
    'de'
    """
    return py3langid.classify(text)[0] if re.search(r"[^\W\d_]", text) else ""
