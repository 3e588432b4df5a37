"""Stems of words, the same for British and American spelling."""

import functools
import re

import Stemmer

_stem = Stemmer.Stemmer("english")  # Snowball
_IZED = "general|stabil|hospital|normal|special|mobil|organ|recogn|visual|local|minim|maxim|optim"
_IZED += "|immun|catheter|anesthet|character|summar|neutral|steril|util|emphas|real|ulcer"
_BRITISH = (
    (re.compile("aem|aesth|paed|naev|naec|caec|faec|caesar|^aeti"),
     lambda m: m[0].replace("ae", "e")),
    (re.compile("rrhoe|pnoe|^oe|oedem|foet|coeliac"), lambda m: m[0].replace("oe", "e")),
    (re.compile("(?:tum|col|vap|rig|lab|behavi|fav|hum|od)our"),
     lambda m: m[0].replace("our", "or")),
    (re.compile(f"^((?:{_IZED}))is(?=e|ing|ation)"), r"\1iz"),
    (re.compile("sulph"), "sulf"),
    (re.compile("^(fib|cent|lit|met|theat)re(?=s?$)"), r"\1er"),
    (re.compile("^(analy|dialy|paraly)s(?=e$|ed|ing)"), r"\1z"),
    (re.compile("^(trave|labe|counse|cance|mode)ll(?=ed|ing|er)"), r"\1l"),
    (re.compile("mould"), "mold"),
)  # fmt: skip
_MAYBE_BRITISH = re.compile("ae|oe|ou|is[ei]|isa|ulph|re|lys|ll")


def stem_words(words: list[str]) -> list[str]:
    """Return the Snowball stem (PyStemmer) of each word, in American spelling.

    >>> stem_words(["coughing", "coughs", "haemorrhage", "diarrhoea"])
    ['cough', 'cough', 'hemorrhag', 'diarrhea']
    """
    return _stem.stemWords([spell_american(word) for word in words])


@functools.lru_cache(maxsize=65536)
def spell_american(word: str) -> str:
    """Return a word in American spelling: "tumour" is "tumor"."""
    if _MAYBE_BRITISH.search(word):
        for pattern, replacement in _BRITISH:
            word = pattern.sub(replacement, word)
    return word
