"""Protocols: the prompt layout, how an answer is chosen, and how a reply is parsed.

"Five-shot accuracy on MedQA" can mean several protocols. Here each has a name, so that every score
names its protocol, and one model can be evaluated in all of them.
"""

import dataclasses
import re
import string
from collections.abc import Mapping, Sequence

from clinical_camel import data, models
from clinical_camel.data import Question

# Plain-text layouts, up to the answer. There is no space after the last colon: the space belongs to
# the answer's first token. `lettered` has one option per line, `inline` all options on one line,
# `colons` one per line as MedAlpaca writes them.
LAYOUTS = {
    "open": "{abstract}Question: {question}\nAnswer:",
    "listed": "{abstract}Question: {question}\n{lettered}\nAnswer:",
    "choices": "{abstract}Question: {question}\nChoices:\n{lettered}\nAnswer:",
    "inline": "{abstract}Question: {question}\n{inline}\nAnswer:",
    "bare": "{abstract}{question}\n{lettered}\nAnswer:",
    "alpaca": (
        "Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request."
        "\n\n### Instruction:\nAnswer this multiple choice question."
        "\n\n### Input:\n{abstract}{question}\n{colons}"
        "\n\n### Response:\nThe Answer to the question is:"
    ),
}
MMLU_PREAMBLE = "The following are multiple choice questions (with answers) about {subset}.\n\n"
ASK_FOR_REASONING = "Think step by step, then end with one line: Answer: and the letter."
ASK_FOR_LETTER = "Reply with the letter of the right option."
_open_text = {"layout": "open", "answer_type": "text"}
_choices = {"layout": "choices"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a question is presented and what counts as the answer.

    `layout`: a name in LAYOUTS; in a chat, "listed" lists the options and "open" does not.
    `answer_type`: the likelihood of an option's "text" or "letter", or a generated "reply".
    `chat`: a conversation in the model's own template, with exemplars as earlier turns.
    `preamble`: text before the first exemplar. `instruction`: text after the question in a chat.
    `parser`: how a reply is parsed, a name in PARSERS. `decoding`: how it is generated; up to
    `attempts` replies are generated until one can be parsed. `exceptions`: fields that differ on a
    benchmark, by its label.
    """

    layout: str
    answer_type: str
    chat: bool = False
    preamble: str = ""
    instruction: str = ""
    parser: str = ""
    decoding: Mapping[str, float] = dataclasses.field(default_factory=dict)
    attempts: int = 1
    exceptions: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def for_benchmark(self, benchmark: str) -> "Protocol":
        """Return this protocol with its exceptions for a benchmark."""
        return dataclasses.replace(self, **self.exceptions.get(benchmark, {}))


# Sources: harness_2023 is lm-evaluation-harness v0.3.0 with the task files of Clinical Camel,
# harness_now its version 0.4 (medqa_4options, medmcqa, pubmedqa, mmlu); medalpaca is
# eval/eval_usmle.py of kbressem/medAlpaca. Clinical Camel does not state whether it reports acc or
# acc_norm, so both are computed.
PROTOCOLS = {
    "option_text": Protocol(layout="open", answer_type="text"),
    "letter": Protocol(layout="listed", answer_type="letter"),
    "harness_2023": Protocol(
        layout="inline",
        answer_type="text",
        exceptions={"mmlu_medical": _choices, "medmcqa": _choices, "pubmedqa": _open_text}
        | {"pubmedqa_test": _open_text},
    ),
    "harness_now": Protocol(
        layout="listed",
        answer_type="letter",
        exceptions={"medmcqa": _choices, "pubmedqa": _open_text, "pubmedqa_test": _open_text}
        | {"mmlu_medical": {"layout": "bare", "preamble": MMLU_PREAMBLE}},
    ),
    "medalpaca": Protocol(
        layout="alpaca",
        answer_type="reply",
        parser="medalpaca",
        decoding={"temperature": 0.4, "top_k": 50, "top_p": 0.9, "max_new_tokens": 128},
        attempts=5,
    ),
    "chat": Protocol(layout="listed", answer_type="text", chat=True),
    "conversation": Protocol(layout="open", answer_type="text", chat=True),
    "chat_letter": Protocol(layout="listed", answer_type="letter", chat=True),
    "chat_reply": Protocol(
        layout="listed",
        answer_type="reply",
        chat=True,
        instruction=ASK_FOR_LETTER,
        parser="letter",
        decoding={"max_new_tokens": 64},
    ),
    "chat_thought": Protocol(
        layout="listed",
        answer_type="reply",
        chat=True,
        instruction=ASK_FOR_REASONING,
        parser="letter",
        decoding={"max_new_tokens": 512},
    ),
}


# ---------------------------------------------------------------------------------- the prompt


def render_question(question: Question, protocol: Protocol) -> str:
    """Return one question as plain text, up to the answer."""
    letters = list(zip(string.ascii_uppercase, question.options, strict=False))
    return LAYOUTS[protocol.layout].format(
        abstract=f"Abstract: {question.context}\n" if question.context else "",
        question=question.question,
        lettered="\n".join(f"{letter}. {option}" for letter, option in letters),
        inline=" ".join(f"({letter}) {option}" for letter, option in letters),
        colons="\n".join(f"{letter}: {option}" for letter, option in letters),
    )


def list_continuations(question: Question, protocol: Protocol) -> list[str]:
    """Return what each option adds to the prompt. A chat reply starts without a space."""
    letters = list(string.ascii_uppercase[: len(question.options)])
    if protocol.parser == "medalpaca":
        texts = [f"{a}: {o}" for a, o in zip(letters, question.options, strict=True)]
    else:
        texts = question.options if protocol.answer_type == "text" else letters
    return list(texts) if protocol.chat else [f" {text}" for text in texts]


def build_prompt(
    question: Question, exemplars: Sequence[Question], protocol: Protocol, tokenizer=None
) -> str:
    """Return the prompt of one question: its exemplars, then the question, up to the answer.

    Only a chat protocol needs the tokenizer; there, exemplars are earlier turns.
    """
    if protocol.chat:
        messages = []
        for row in (*exemplars, question):
            reply = list_continuations(row, protocol)[row.answer]
            messages.append({"role": "user", "content": render_user_turn(row, protocol)})
            messages.append({"role": "assistant", "content": reply})
        return models.render_chat(tokenizer, messages[:-1])  # without the reply to the question
    preamble = protocol.preamble.format(subset=question.subset.replace("_", " "))
    solved = [
        render_question(e, protocol) + list_continuations(e, protocol)[e.answer] for e in exemplars
    ]
    return preamble + "\n\n".join([*solved, render_question(question, protocol)])


def render_user_turn(question: Question, protocol: Protocol) -> str:
    """Return the user's message of a chat protocol."""
    text = data.format_question(question, protocol.layout != "open")
    return "\n".join(filter(None, [text, protocol.instruction]))


# -------------------------------------------------------------------------------------- replies

# A capital from A to J. "A" and "I" are also words: a mark or the end must follow them.
_LETTER = r"([B-HJ]\b(?!['’-])|[AI](?=[\s*\"'\])]*(?:[.:,;)\n]|$| or | and )))"
_STATED = re.compile(
    r"(?i:answer|option|choice)\s*(?i:is|would be)?\s*[:*\s(\[\"']*" + _LETTER, re.MULTILINE
)
_ALONE_ON_LINE = re.compile(r"^[\s*(\[\"']*([A-Ja-j])[\s*)\].:\"']*$")
_STARTS_LINE = re.compile(r"^[\s*(\[\"']*([A-J])[)\].:]")
_MEDALPACA = re.compile(r"^([A-Z])[:. ]\s*\S")


def parse_letter(reply: str, options: Sequence[str]) -> int:
    """Return the option that a reply names; -1 if it names none or several.

    Tried in this order: "answer is B" or "Answer: B" (if they differ, those of the last line); a
    letter alone on the first line, or first on it with a mark ("B.", "(B) ..."); the one option
    whose full text is in the reply.
    """
    lines = reply.strip().splitlines() or [""]
    letters = set(_STATED.findall(reply))
    if len(letters) > 1:
        letters = set(_STATED.findall(lines[-1])) or letters
    if not letters:
        match = _ALONE_ON_LINE.match(lines[0]) or _STARTS_LINE.match(lines[0])
        letters = {match[1].upper()} if match else set()
    if len(letters) == 1:
        index = string.ascii_uppercase.index(letters.pop())
        return index if index < len(options) else -1
    text, texts = f" {_normalize(reply)} ", list(map(_normalize, options))
    named = [i for i, option in enumerate(texts) if f" {option} " in text]
    named = [i for i in named if not any(texts[i] in texts[j] for j in named if j != i)]
    return named[0] if len(named) == 1 and not letters else -1


def parse_medalpaca(reply: str, options: Sequence[str]) -> int:
    """Return the option as MedAlpaca's script parses it, or -1: a capital, a colon, stop or space,
    then text.

    Like the original, it takes a sentence that begins with the word "A" for option A.
    """
    match = _MEDALPACA.match(reply.strip())
    index = string.ascii_uppercase.index(match[1]) if match else -1
    return index if index < len(options) else -1


def _normalize(text: str) -> str:
    return " ".join(re.findall(r"[\w%./+-]+", text.lower().replace(".", " ")))


PARSERS = {"letter": parse_letter, "medalpaca": parse_medalpaca}
