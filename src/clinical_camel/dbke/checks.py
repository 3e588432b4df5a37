"""Checks of a dialogue: return the rejection reason, or "" if it passes.

A reason starts with a fixed text; after `: "` follows the sentence that it concerns.
"""

import functools
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from clinical_camel import data, grounding
from clinical_camel.data import Dialogue, Message
from clinical_camel.dbke import paraphrase, prompt
from clinical_camel.dbke.requests import Request, format_key
from clinical_camel.dbke.settings import Synthesis
from clinical_camel.teachers import injection

SENTENCE = "an assistant sentence"  # start of a reason that quotes one
NO_PASSAGE = "no supporting passage found"
LANGUAGE_CHARACTERS = 120  # of each turn; language detection is slow
QUOTE_CHARACTERS = 300  # longest quoted sentence in a reason
# of chat templates: in a training row, a tokenizer would read them as the end of a turn
_CONTROL_TOKEN = re.compile(
    r"<\|[\w ./-]{1,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)


def check_dialogue(dialogue: Dialogue, request: Request, settings: Synthesis) -> str:
    """Return the first rejection reason of a dialogue; "" if it passes.

    A dialogue on an exam question starts with the question, then gives its key, and needs a
    passage that supports the key: otherwise it would teach an answer without any medicine.
    """
    roles = [m["role"] for m in dialogue.messages]
    if roles != ["user", "assistant"] * (len(roles) // 2) or not roles:
        return "turns do not alternate between user and assistant"
    turns = [m["content"] for m in dialogue.messages]
    if any(not isinstance(turn, str) or not turn.strip() for turn in turns):
        return "a turn is empty"
    if request.question and not request.passages:
        return NO_PASSAGE
    least = 2 if request.question else settings.min_exchanges
    if request.task == "paraphrase":
        if reason := paraphrase.check_paraphrase(turns, request.article):
            return reason
    elif len(turns) // 2 < least:
        return f"fewer than {least} exchanges"
    if request.question:
        question, key = data.format_question(request.question), format_key(request.question)
        if _normalise(turns[0]) != _normalise(question):
            return "the first turn is not the exam question"
        if not _normalise(turns[1]).startswith(_normalise(key)):
            return "the first answer is not the key"
    reason = _check_language(turns, settings)
    return reason or _check_support(turns[1::2], request, settings.support)


def _check_language(turns: Sequence[str], settings: Synthesis) -> str:
    """Return a reason if the turns are in another language than that of the settings."""
    if not settings.language:
        return ""
    detected = grounding.detect_language(" ".join(turn[:LANGUAGE_CHARACTERS] for turn in turns))
    if detected == settings.language:
        return ""
    return f"the language is {detected or 'unknown'}, not {settings.language}"


def _normalise(text: str) -> str:
    return " ".join(injection.clean(text).split())


def _check_support(answers: Sequence[str], request: Request, support: str) -> str:
    """Return the reason for the first assistant sentence that the source does not support."""
    source = injection.clean(request.source_text)
    denials = prompt.list_denials(request.question) if request.question else ()
    sentences = [
        sentence
        for answer in answers
        for sentence in grounding.find_unsupported(
            injection.clean(_remove_sentences(answer, denials)), source
        )
        if needs_support(sentence)
    ]
    if not sentences:
        return ""
    if support == "verbatim":
        return f"{SENTENCE} is not in the source{_quote(sentences[0])}"
    for link in grounding.link_sentences(sentences, split_source(request)):
        if link.verdict != "supported":
            kind = link.reasons[0].partition(":")[0]
            reason = f"{SENTENCE} is {link.verdict} ({kind}){_quote(link.sentence)}"
            return f"{reason} {'; '.join(link.reasons)}"
    return ""


def split_source(request: Request) -> list[str]:
    """Return the sentences that may support another; of a question its passages, not its key."""
    text = "\n".join(request.passages) if request.question else request.source_text
    return grounding.split_sentences(injection.clean(text))


def list_claims(dialogue: Dialogue, request: Request) -> list[str]:
    """Return the assistant sentences that need support from the source."""
    question = request.question
    exempt = [format_key(question), *prompt.list_denials(question)] if question else []
    answers = [m["content"] for m in dialogue.messages if m["role"] == "assistant"]
    texts = [_remove_sentences(injection.clean(answer), exempt) for answer in answers]
    return [s for text in texts for s in grounding.split_sentences(text) if needs_support(s)]


def needs_support(sentence: str) -> bool:
    """Return whether a sentence states something.

    A question does not, `prompt.NO_ANSWER` does not, nor a courtesy, as in courtesies.txt.

    >>> [needs_support(text) for text in ("Thank you, that helps.", "Thank you, it is gout.")]
    [False, True]
    """
    if sentence.endswith("?") or _ABOUT.sub("", sentence) == prompt.NO_ANSWER:
        return False
    return _load_courtesies().fullmatch(sentence.lower().replace("’", "'")) is None


@functools.cache
def _load_courtesies() -> re.Pattern:
    """Return the pattern of a sentence, in small letters, that consists of courtesies."""
    lines = Path(__file__).with_name("courtesies.txt").read_text(encoding="utf-8").splitlines()
    part = "|".join(line for line in lines if not line.startswith("#"))
    lead = r"(?:(?:yes|no|of course|certainly|sure|well)[,!] )?"
    return re.compile(rf"{lead}(?:{part})(?:[,;:!.] (?:{part}))*[.!]*")


# Names the question that the text does not answer; a clause after "which" would be a statement.
_CLAUSE = "which|that|who|whose|because|since|although|but|is|are|was|were"
_ABOUT = re.compile(rf"^As for (?:(?!\b(?:{_CLAUSE})\b)[\w' -]){{1,80}}[:,] ")


def _quote(sentence: str) -> str:
    return f': "{textwrap.shorten(sentence, QUOTE_CHARACTERS)}"'


def quotes(reason: str, sentence: str) -> bool:
    """Return whether a reason quotes this assistant sentence."""
    return reason.startswith(SENTENCE) and _quote(sentence) in reason


def strip_quote(reason: str) -> str:
    """Return a reason without the sentence that it quotes, for counts and for retries.

    A rejected sentence is never sent back to the teacher: it may repeat an injected instruction.

    >>> strip_quote('an assistant sentence is not in the source: "Gout is fun."')
    'an assistant sentence is not in the source'
    """
    return reason.partition(': "')[0]


def _remove_sentences(text: str, sentences: Sequence[str]) -> str:
    """Remove these sentences from a text, but not where they are the end of a longer one."""
    for sentence in sentences:
        text = re.sub(rf"(?:^|(?<=[.!?]\s)){re.escape(sentence)}(?=\s|$)", " ", text)
    return text


def check_echo(dialogue: Dialogue, request: Request, messages: Sequence[Message]) -> str:
    """Return the reason if a turn repeats the prompt or instructs a model; "" otherwise.

    Turns that are verbatim in the source are skipped: the source was checked before it was sent.
    """
    turns = [message["content"] for message in dialogue.messages]
    text = "\n".join(turn for turn in turns if turn not in request.source_text)
    if token := _CONTROL_TOKEN.search("\n".join(turns)):
        return f'a turn contains a control token: "{token[0]}"'
    if messages and (prompt.find_code(messages) in text or prompt.repeats_prompt(text)):
        return "a turn repeats the prompt"
    reason = injection.find_injection(text)
    return f"a turn {reason}" if reason else ""
