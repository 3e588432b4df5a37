"""Words of a text, by its script: the same words for every overlap score."""

import functools
import logging
import re
import tempfile
from collections.abc import Callable

CHINESE, LATIN, OTHER = "chinese", "latin", "other"
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile(r"[\u3040-\u30ff]")


def find_script(text: str) -> str:
    """Return "chinese", "latin" or "other": what more than half of the letters are.

    A Han character counts as two letters, because it stands for about a syllable. Text with
    Japanese syllables is "other".

    >>> find_script("患者有 fever 三天"), find_script("Fièvre 39.1"), find_script("Боль")
    ('chinese', 'latin', 'other')
    """
    han = 2 * len(_HAN.findall(text))
    latin = len(re.findall(r"[A-Za-z\u00c0-\u024f]", text))
    others = sum(map(str.isalpha, text)) - han // 2 - latin
    if _KANA.search(text) or others > han + latin:
        return OTHER
    return CHINESE if han > latin else LATIN


def split_tokens(text: str, script: str, chinese_words: str = "jieba") -> list[str]:
    """Return the tokens for BLEU and GLEU, punctuation included.

    chinese: words of jieba (its dictionary and its model of new words), or single characters, with
    words in Latin letters complete. Otherwise: 13a, the default tokenizer of sacrebleu (case
    counts).

    >>> split_tokens("It's gout.", "latin"), split_tokens("患者发热39.5度", "chinese", "characters")
    (["It's", 'gout', '.'], ['患', '者', '发', '热', '39.5', '度'])
    """
    if script != CHINESE:
        return _tokenizer_13a()(text).split()
    if chinese_words == "jieba":
        return [word for word in _jieba()(text) if not word.isspace()]
    return re.findall(r"[A-Za-z0-9]+(?:[.,][0-9]+)*|\S", text)


def split_words(text: str, script: str = "", chinese_words: str = "jieba") -> list[str]:
    """Return the words for ROUGE in lower case, without punctuation.

    >>> split_words("Take 5 mg, twice."), split_words("患者头痛。")
    (['take', '5', 'mg', 'twice'], ['患者', '头痛'])
    """
    script = script or find_script(text)
    if script != CHINESE:
        return re.findall(r"\w+", text.casefold())
    tokens = split_tokens(text.casefold(), script, chinese_words)
    return [token for token in tokens if any(map(str.isalnum, token))]


class WordTokenizer:
    """`split_words` for one script, in the form that rouge-score needs.

    rouge-score's own tokenizer drops every letter that is not a to z.
    """

    def __init__(self, script: str, chinese_words: str) -> None:
        self.script, self.chinese_words = script, chinese_words

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return split_words(text, self.script, self.chinese_words)


@functools.cache
def _tokenizer_13a() -> Callable[[str], str]:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    return Tokenizer13a()


@functools.cache
def _jieba() -> Callable[[str], list[str]]:
    """Return jieba's segmentation; imported here: building its dictionary takes two seconds."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        # its default cache file is in a folder to which every user of the machine can write
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer.lcut
