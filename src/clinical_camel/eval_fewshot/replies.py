r"""Which option does a written reply name?

`parse_letter` is ours: it takes any wording that names one option beyond doubt, and nothing else.
`parse_medalpaca` is MedAlpaca's own rule. `UNREAD` (-1) means that a reply names no option or
several; the column `unparsed` of the scores counts such replies. The table of replies is in
tests/eval_fewshot/test_replies.py.

`parse_letter` has three steps. `_clean` removes what surrounds an answer: thoughts, markup, kinds
of brackets. `_Marker` replaces each mention of an option, by letter or by text, with one private
character. Then patterns of a few words find what the reply says about these characters:

>>> parse_letter("Not C but B", ["rest", "ice", "heat"])
1
>>> parse_letter("A or B", ["rest", "ice", "heat"])
-1
>>> parse_letter(r"So the final answer is: $\boxed{\text{c}}$", ["rest", "ice", "heat"])
2
"""

import contextlib
import json
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence

UNREAD = -1
LONGEST_REPLY = 10_000  # characters, counted from the end: that is where an answer is

# ------------------------------------------------------------------- what surrounds an answer

_TAG = r"(?:think|thinking|thought|reasoning|analysis)"
_THOUGHT = re.compile(
    rf"[<\[◁]{_TAG}[>\]▷].*?(?:[<\[◁]/{_TAG}[>\]▷]|\Z)", re.DOTALL | re.IGNORECASE
)
_END_OF_THOUGHT = re.compile(
    rf".*(?:[<\[◁]/{_TAG}[>\]▷]|<\|channel\|>final<\|message\|>)", re.DOTALL | re.IGNORECASE
)
_CONTROL_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>|</?s>")
_LATEX_TEXT = re.compile(r"\\(?:text|math)[a-z]*\s*\{([^{}]*)\}")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?:\{([^{}]*)\}|\s([A-Za-z])\b)")
_ANSWER_TAG = re.compile(
    r"<(answer|final|final_answer|choice|option)>\s*(.*?)\s*</\1>", re.DOTALL | re.IGNORECASE
)
_NEGATION = re.compile(r"\b(is|are|was|were|do|does|would|should|could|ca|wo)n['’]t\b", re.I)
_BRACKETS = str.maketrans("「」『』【】〔〕〈〉《》[]{}“”„‘’", '()()()()()()()()"""\'\'')
_MARKUP = re.compile(r"[*$`#~]|\\[()]|(?<!\w)_+|_+(?!\w)")
_JSON_KEYS = ("answer", "final_answer", "correct_answer", "correct_option", "answer_letter")
_JSON_KEYS += ("choice", "answer_choice", "option", "letter", "prediction")


def _clean(reply: str) -> str:
    """Return the reply without thoughts and markup, with one kind of bracket and quote."""
    text = unicodedata.normalize("NFKC", reply)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")  # zero width, direction
    text = _CONTROL_TOKEN.sub("\n", _END_OF_THOUGHT.sub("", _THOUGHT.sub("", text)))
    text = _BOXED.sub(r" Final answer: \1\2; ", _LATEX_TEXT.sub(r"\1", text))
    text = _ANSWER_TAG.sub(r" Final answer: \2; ", text)
    text = _NEGATION.sub(r"\1 not", text).replace("cannot", "can not")
    text = _MARKUP.sub("", text.translate(_BRACKETS))
    return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())


def _answers_in_json(reply: str) -> list[str]:
    """Return the answers that the JSON objects of a reply state as text."""
    answers = []
    for match in re.finditer(r"\{[^{}]*\}", reply):
        with contextlib.suppress(ValueError):
            row = json.loads(match[0])
            fields = {key.strip().lower().replace(" ", "_"): row[key] for key in row}
            answers += [fields[key] for key in _JSON_KEYS if isinstance(fields.get(key), str)]
    return answers


# --------------------------------------------------------------------- mentions of an option

# Private characters: an option mentioned by its text, by its letter, and a contradiction of both.
_BY_TEXT, _BY_LETTER, _CONTRADICTION = 0xE000, 0xE100, "\ue200"
_M = "[\ue000-\ue200]"
_MARKS = "[^\\w\n\ue000-\ue200]{0,9}"  # marks and spaces, but no mention
_CJK = r"\u3000-\u9fff\uac00-\ud7af"  # written without spaces: a letter may touch them
_START, _END = rf"(?<![^\W{_CJK}])(?<!\w['&-])", rf"(?![^\W{_CJK}])(?!['-]\w)"
# What may follow a letter. "A" and "I" are also words, and so "A fever" is no letter.
_MARK = rf"[.,;:!?()\"'/&=>{_CJK}]|$|\n|-\s|[–—✓✔✅]|{_M}"
_GOES_ON = (
    r"(?:is|are|was|were|and|or|nor|because|since|seems?|must|und|oder|ou|y|ist|est|es|è|é"
    r"|it\s(?:is|must|has|would|should)|[Ii]\s(?:think|guess|believe)|then)\b"
)
_MORE = r"(?:as|for|due|given|but|not|rather|instead|over|with|in|can|does|would|should|looks?|here"
_MORE += r"|remains?|if|unless|otherwise|wins|fits|makes|appears|please|of\scourse|all\sthe\sway"
_MORE += r"|obviously|definitely|clearly|probably)\b"
_UPPER = rf"[B-HJ](?=\s*(?:{_MARK}|{_GOES_ON}|{_MORE}))|[AI](?=\s*(?!\()(?:{_MARK}|{_GOES_ON}))"
_LOWER = rf"[b-hj](?=\s*(?:{_MARK}|{_GOES_ON}|{_MORE}))|[ai](?=\s*(?:[.,;:!)\"]|$|\n|or\b))"
_NOUNS = "hepatitis influenza haemophilia hemophilia vitamin group type class grade stage category"
_NOUNS += " phase factor drug blood case cohort arm"  # "hepatitis B" is no answer
_NO_NOUN = "".join(rf"(?i:(?<!\b{noun} ))" for noun in _NOUNS.split())
_LETTER = re.compile(rf"{_START}(?<!\w\.){_NO_NOUN}({_UPPER}){_END}")
# Small letters are letters only where a letter is expected.
_SMALL = re.compile(
    rf"(?P<before>\(\s*|^{_MARKS}|(?i:\b(?:answers?|options?|choices?|letter|antwort|réponse"
    rf"|respuesta|resposta|risposta)\b[\s:=(\"']*"
    rf"(?:(?:is|would\s+be|be|option|choice|letter)\b[\s:(\"']*)*)|{_M}\s?(?:or|and|/)\s?)"
    rf"(?P<m>[a-j](?=\s*\))|{_LOWER}){_END}",
    re.MULTILINE,
)
_LIST_NUMBER = re.compile(  # "1. B", "Question 3: B"
    r"^\W*(?:(?:question|ques|q|item|number|no|nr|answer|a|frage|pregunta)\b[.\s]*|[qa]|问题)?"
    r"#?\d{1,3}(?:\s?[.):/、]|\s[-–—]\s)(?!\d|[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_WORDS = ("yes", "no", "maybe", "true", "false", "none")  # options that are also common words
_WORD_ENDS = r"(?=\s*(?:[.,;:!)\"/]|$|\n|(?:or|and|because|since)\b))"
_WORD_STARTS = r"(?:it|they|there|this|that|these|the|he|she|we)\b"


def _tokens(option: str) -> list[str]:
    return re.findall(r"[+-]?\d+(?:[.,]\d+)*|[^\W\d_]+|\d+|%", option.lower())


class _Marker:
    """Replaces each mention of an option with its private character."""

    def __init__(self, options: Sequence[str]) -> None:
        tokens = [_tokens(unicodedata.normalize("NFKC", option)) for option in options]
        indices = [i for i, words in enumerate(tokens) if tokens.count(words) == 1]
        named = [i for i in indices if len("".join(tokens[i])) > 1]
        named.sort(key=lambda i: len("".join(tokens[i])), reverse=True)  # the longest first
        self.patterns = [(i, _text_pattern(tokens[i])) for i in named]

    def mark(self, text: str) -> str:
        for i, pattern in self.patterns:
            text = pattern.sub(chr(_BY_TEXT + i), text)
        text = _LIST_NUMBER.sub("", text)
        text = _LETTER.sub(lambda match: _mark_letter(match[1]), text)
        for _ in range(2):  # the second time, for lists: "a or b"
            text = _SMALL.sub(lambda match: match["before"] + _mark_letter(match["m"]), text)
        text = re.sub(rf"({_M})[ \t.):,\"'(–—-]*([\ue000-\ue0ff])", _join, text)
        return re.sub(rf"([\ue000-\ue0ff])[ \t]*\([ \"']*({_M})[ \"'.:]*\)", _join, text)


def _text_pattern(words: Sequence[str]) -> re.Pattern[str]:
    body = r"[\W_]*".join(map(re.escape, words))
    if len(words) == 1 and words[0] in _WORDS:
        at_start = rf"^{_MARKS}{body}{_END}(?=\s+{_WORD_STARTS})"
        return re.compile(rf"{_START}{body}{_END}{_WORD_ENDS}|{at_start}", re.I | re.M)
    start = r"(?<![\d.,+-])" if words[0][0].isdigit() else ""
    end = r"(?![.,]?\d)" if words[-1][-1].isdigit() else ""
    return re.compile(rf"{_START}{start}{body}{end}{_END}", re.IGNORECASE)


def _mark_letter(letter: str) -> str:
    return chr(_BY_LETTER + string.ascii_lowercase.index(letter.lower()))


def _join(match: re.Match[str]) -> str:
    """Return one mention for a letter and a text side by side; a contradiction if they differ.

    In "B. Warfarin thins the blood" the text begins a new sentence.
    """
    is_sentence = re.match(r" (?!because|since|if|unless|in case)\w", match.string[match.end() :])
    if _options(match[1]) != _options(match[2]):
        return match[0] if is_sentence else _CONTRADICTION
    begins_line = re.search(rf"^{_MARKS}$", match.string[: match.start()], re.MULTILINE)
    return f"{match[1]}. {match[2]}" if is_sentence and begins_line else match[2]


def _options(mentions: str) -> set[int]:
    """Return the options that a text mentions; a contradiction is two of them."""
    marks = set(re.findall(_M, mentions))
    both = {UNREAD, UNREAD - 1} if _CONTRADICTION in marks else set()
    return both | {ord(mark) & 0xFF for mark in marks - {_CONTRADICTION}}


# ------------------------------------------------------------------- what is said about them


def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of words: each space stands for white space, ANY for mentions.

    ONE is a mention with its noun ("the option B"), ANY a list of them ("B, C or D").
    """
    pattern = pattern.replace("ANY", f"(?P<any>{_ONE}(?:{_SEPARATOR}{_ONE}){{0,9}})")
    pattern = pattern.replace("ONE", f"(?P<one>{_ONE})")
    return re.compile(pattern.replace(" ", r"\s"), re.IGNORECASE | re.MULTILINE)


# No text fits a mention or a list in two ways: otherwise a long list would take minutes.
_ONE = r"\s?[(\"']{0,2}(?:(?:the|your|my)\s)?"
_ONE += rf"(?:(?:options?|choices?|answers?|letters?)\s[(\"']{{0,2}})?{_M}"
_SEPARATOR = (
    r"[)\"']{0,2}(?:(?<=\))\s(?=\()|,\s(?:and|or)\b|,|\s?[/&]|\s(?:and|or|nor|und|oder|ou|y)\b)"
)
_AFTER = r"[\s)\"'.,:]{0,4}"  # between a mention and its verb
_ADVERBS = (
    r"(?:(?:also|all|both|clearly|definitely|probably|therefore|thus|then|most|the|an?|my|final"
    r"|what I(?: would|'d| will|'ll)?) ){0,4}"
)
_WRONG = (
    r"(?:not|wrong|incorrect|false|unlikely|less likely|excluded|ruled out|eliminated|impossible"
    r"|inappropriate|contraindicated|untrue|avoided|stopped|discontinued)\b"
    r"(?: (?:be |the )*(?:correct|right|true|best|answer))?"
)
_REJECTED = [
    _compile(
        rf"^{_MARKS}ONE[).:,–-]{{0,3}}[^\S\n]?[-–]?[^\S\n]?(?:incorrect|wrong|false|✗|❌)(?!\w)"
    ),
    _compile(
        r"\b(?:not|never|neither|nor|rul(?:e|ed|es|ing) out|exclud(?:e|ed|es|ing)|unlike"
        r"|eliminat(?:e|ed|es|ing)|reject(?:ed|s|ing)?|dismiss(?:ed|ing)?|instead of|rather than"
        r"|over|unlikely to be|avoid(?:ing)?|stop(?:ping)?|(?:anything|all) (?:but|except)"
        r"|(?:incorrect|wrong|false)(?: (?:answers?|options?|choices?))?"
        r"(?: (?:is|are))?)(?:\s*:)? (?:(?:be|choose|pick|select|say|go with|use|take|give|likely"
        r"|recommend|prescribe|think|believe|that|it|it's|is|the|answer|correct|an?) ){0,6}ANY"
    ),
    _compile(
        r"(?:不选择?|不是|不为|并非|除了"
        r"|\b(?:nicht|не|non è|não é|no es|n['’]est pas)\b) ?(?:l?a )?ANY"
    ),
    _compile(
        r"ANY[)\s]{0,2}(?:选项|選項)?(?:不|错|錯|では ?な|じゃな|[이가은는] ?아니|[이가은는] ?아닙)"
    ),
    _compile(rf"ANY{_AFTER}\b(?:are|were|can|seem|look|do) {_ADVERBS}{_WRONG}"),
    _compile(
        rf"ONE{_AFTER}\b(?:is|was|would be|would|can|seems|looks|does|should|should be"
        rf"|must be) {_ADVERBS}{_WRONG}"
    ),
    _compile(r"ONE[\s)\"']{0,3}\?"),
]
_IS = (
    r"(?:[\s:=>)\"'(–—-]|是|为|為|は|项|項|\b(?:is|was|are|would be|should be|must be|will be|be"
    r"|to (?:this |the )?question(?: \d+)?|here|option|choice|letter|the|most likely|probably"
    r"|clearly|therefore|thus|definitely|but|ist|lautet|est|es|è|é|correct[aeo]?|corr?ett?[ao]"
    r"|cert[ao]|donc|la"
    r"|a letra|lettre|opción|opção|opzione|final)\b){0,12}"
)
_FINAL = _compile(rf"\bfinal (?:answer|choice|option)\b{_IS}ANY")
_STATED = [
    _compile(
        r"(?:\b(?:answers?|ans|letter|selected|response|solution|antwort|réponse|respuesta"
        r"|resposta|risposta|opción|opção|opzione|antwoord|odpowiedź|odpověď|svar|cevap"
        r"|jawaban|đáp án|الإجابة(?: الصحيحة)?(?: هي)?|assistant|most appropriate"
        r"|(?:correct|right|best)(?: (?:one|option|choice))?)\b|\bans[.:]"
        r"|答案|答え|回答|正解|选择?|選|정답|ответ"
        rf"|\b(?:choice|pick|guess|vote) (?:is|would be|goes to)\b){_IS}ANY"
    ),
    _compile(
        rf"ANY{_AFTER}\b(?:is|are|was|would be|must be|seems|looks|appears|fits|makes) {_ADVERBS}"
        r"(?:correct|right|best|true|appropriate|accurate|preferred|likely|answer|(?:good )?choice"
        r"|sense|choose|pick|select|take|say|give)\b"
    ),
    _compile(rf"^{_MARKS}ANY[).:,–-]{{0,3}}[^\S\n]?[-–]?[^\S\n]?(?:correct|true|✓|✔|✅)(?!\w)"),
    _compile(rf"ANY{_AFTER}\b(?:remains?|is left|wins|it (?:is|must be|has to be|would be))\b"),
    _compile(
        r"(?:\b(?:choose|chose|say|sondern|pick|select"
        r"|go with|going with|opt for|prefer|vote for|settle on|answer with|lean(?:ing)? towards?"
        r"|i(?:'ll| will|'d| would) take|(?:it|that|this)(?: is|'s|'d be| should be| has to be)"
        r"|(?:must|would|will) be|leaves|leaving|so|therefore|hence|thus|but|then|conclusion"
        r"|conclude|verdict|most likely|probably|definitely|clearly|certainly|no|actually|wait)\b"
        r"|(?:if|unless) (?:i|i'm|you|we|forced|asked)\b[^,.\n]{0,40},|=>|→|->)"
        r"[\s,:]{0,3}(?:(?:us|me|with|only|it is|it's|is) ){0,3}ANY"
        r"(?=[\s)\"']{0,3}(?:[.,!;:]|$|(?:because|since|as|for|if|here)\b))"
    ),
]
_ALONE = _compile(
    rf"^{_MARKS}ANY{_MARKS}(?:(?:I (?:guess|think|believe|say)|please|obviously|clearly|definitely"
    rf"|probably|then|for sure|of course|all the way){_MARKS})?$"
)
_LEADING = _compile(
    rf"^{_MARKS}ANY[\s\"']{{0,3}}(?:[().:,;–—-]|because\b|since\b)(?![\s(]*{_M}{_MARKS}$)"
)
_NAMED = [_compile(r"\b(?:option|choice)[\s:]{0,3}ANY"), _compile(r"\(ANY\s?\)")]


# A condition on the case ("if acute, A"), but not on who answers ("if I had to choose, B").
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.](?=\w))+")
_CONDITION = re.compile(
    r"\b(?:if|unless|in case|provided|assuming|depending on|wenn|sinon|sonst"
    r"|in other cases)\b|如果|否则"
    rf"|(?:^|[,;:(–—-]\s?|\b(?:or|and|but)\s|{_M}\s?)(?:otherwise|else)\b",
    re.IGNORECASE,
)
_OTHER_CASE = re.compile(r"\b(?:otherwise|else|unless|sonst|sinon|other cases)\b|否则", re.I)
_NO_CONDITION = re.compile(  # before it: "see if", "even if", "B because it works if"
    r"\b(?:even|as|see|check|determine|know|decide|ask|asks|asked|assess|test|tell|confirm"
    r"|evaluate|identify|wonder|unsure|sure|because\b.*|since\b.*)\s*$",
    re.IGNORECASE,
)
_OF_SPEAKER = re.compile(
    r"(?:if|unless|in case|provided|assuming)(?: only)? (?:i|i'm|i'd|we|you|one|forced|asked"
    r"|pressed|in doubt|necessary|needed|possible|this is|the question|my)\b",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"\b(?:(?<!if )so|therefore|hence|thus|but|however)\b|,\s(?:and|while|whereas|yet)\b", re.I
)


def _drop_conditional(match: re.Match[str]) -> str:
    """Return a sentence without the options that it names under a condition on the case."""
    sentence, end = match[0], 0
    characters = list(sentence)
    for condition in _CONDITION.finditer(sentence):
        start = condition.start()
        is_harmless = _NO_CONDITION.search(sentence[max(0, start - 200) : start])
        if start < end or is_harmless or _OF_SPEAKER.match(sentence, start):
            continue
        conclusion = _CONCLUSION.search(sentence, condition.end())
        end = conclusion.start() if conclusion else len(sentence)
        part = sentence[start:end]
        if not (_OTHER_CASE.search(part) and re.search(_M, part)):
            start = 1 + max(sentence.rfind(mark, 0, start) for mark in ",;:")  # "B if acute"
        else:
            start = 0
        characters[start:end] = (" " if re.match(_M, c) else c for c in characters[start:end])
    return "".join(characters)


def parse_letter(reply: str, options: Sequence[str]) -> int:
    """Return the option that a reply names, from 0; `UNREAD` if it names none or several.

    The strongest kind of place decides: 1. a box, an <answer> tag, JSON, "final answer"; 2. "the
    answer is B", "B is correct", "I choose B", "so B."; 3. a mention alone on the first or the last
    line; 4. a line that begins with "B." or "(B)"; 5. "option B" or "(B)" anywhere; 6. the only
    option whose text occurs. If places of one kind differ, those on the last line count. A rejected
    option ("not A", "A is wrong", "A?") is no mention, and neither is an option under a condition
    ("if acute, A; otherwise B") or a letter with the text of another option. White space, case,
    markup and <think> parts do not matter.
    """
    reply = reply[-LONGEST_REPLY:]
    marker = _Marker(options)
    in_json = _answers_in_json(_THOUGHT.sub("", reply))
    lines = [f"Final answer: {answer}" for answer in in_json]
    text = marker.mark("\n".join([_clean(reply), *map(_clean, lines)]))
    for pattern in _REJECTED:
        text = pattern.sub(" ", text)
    text = _SENTENCE.sub(_drop_conditional, text)
    places = next(filter(None, _find_places(text)), [])
    return _decide(places, len(options))


def _find_places(text: str) -> Iterator[list[tuple[int, set[int]]]]:
    """Yield (line, mentioned options) of every place, one list per kind, the strongest first."""
    yield _search(text, [_FINAL])
    yield _search(text, _STATED)
    alone = _search(text, [_ALONE])
    last = text.count("\n")
    yield [(last, options) for line, options in alone if line in (0, last)]
    leading = _search(text, [_LEADING])
    yield [(last, options) for _, options in leading]
    yield [(last, options) for _, options in _search(text, _NAMED)]
    by_text = _options("".join(re.findall("[\ue000-\ue0ff\ue200]", text)))
    yield [(last, by_text)] if by_text else []


def _search(text: str, patterns: Sequence[re.Pattern[str]]) -> list[tuple[int, set[int]]]:
    matches = (match for pattern in patterns for match in pattern.finditer(text))
    return [(text.count("\n", 0, m.end("any")), _options(m["any"])) for m in matches]


def _decide(places: Sequence[tuple[int, set[int]]], count: int) -> int:
    """Return the only option of all places, or of those on the last line; otherwise `UNREAD`."""
    last = max((line for line, _ in places), default=0)
    for lines in (places, [place for place in places if place[0] == last]):
        named = set().union(*(options for _, options in lines))
        if len(named) == 1:
            option = named.pop()
            return option if option < count else UNREAD
    return UNREAD


# ---------------------------------------------------------------------------------- MedAlpaca

_ENDS_OF_REPLY = re.compile(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$")
_MEDALPACA = re.compile(r"[A-Z](?::|\.|) .+")


def parse_medalpaca(reply: str, options: Sequence[str]) -> int:
    """Return the option as MedAlpaca's script reads it: a capital, a colon, stop or nothing, then
    a space and text; `UNREAD` otherwise.

    Like the original, it first cuts what is no letter or digit off both ends, and takes a sentence
    that begins with the word "A" for option A.
    """
    text = _ENDS_OF_REPLY.sub("", reply)
    index = string.ascii_uppercase.index(text[0]) if _MEDALPACA.match(text) else UNREAD
    return index if index < len(options) else UNREAD
