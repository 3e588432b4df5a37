"""Stems of words, the same for British and American spelling."""

import functools
import re

import Stemmer

_stem = Stemmer.Stemmer("english")  # Snowball
_IZED = "general|stabil|hospital|normal|special|mobil|organ|recogn|visual|local|minim|maxim|optim"
_IZED += "|immun|catheter|character|summar|neutral|steril|util|emphas|real|ulcer"
_BRITISH = (
    (re.compile("aem|aesth|paed|naev|naec|caec|faec|caesar|^aeti"),
     lambda m: m[0].replace("ae", "e")),
    (re.compile("rrhoe|pnoe|^oe|oedem|foet|coeliac"), lambda m: m[0].replace("oe", "e")),
    (re.compile("(?:tum|col|vap|rig|lab|behavi|fav|hum|od)our"),
     lambda m: m[0].replace("our", "or")),
    (re.compile(f"^((?:{_IZED}))is(?=e|ing|ation)"), r"\1iz"),
    (re.compile("sulph"), "sulf"),
    (re.compile("^(fib|cent)re(?=s?$)"), r"\1er"),
)  # fmt: skip
_MAYBE_BRITISH = re.compile("ae|oe|our|is[ei]|isa|ulph|re")


def stem_words(words: list[str]) -> list[str]:
    """Return the Snowball stem (PyStemmer) of each word, in American spelling.

    >>> stem_words(["coughing", "coughs", "haemorrhage", "diarrhoea"])
    ['cough', 'cough', 'hemorrhag', 'diarrhea']
    """
    return _stem.stemWords([_spell(word) for word in words])


@functools.lru_cache(maxsize=65536)
def _spell(word: str) -> str:
    if _MAYBE_BRITISH.search(word):
        for pattern, replacement in _BRITISH:
            word = pattern.sub(replacement, word)
    return word
