"""Protocols: whose prompt it is, its layout, and how an answer is chosen.

"Five-shot accuracy on MedQA" can mean several protocols. Here each has a name, so that every score
names its protocol, and one model can be evaluated in all of them. The test of this module compares
the prompts of others with theirs, character by character.
"""

import dataclasses
import functools
import string
from collections.abc import Mapping, Sequence
from typing import Any

from clinical_camel import data, models
from clinical_camel.core.values import nearest, show
from clinical_camel.data import Question

# Plain-text layouts, up to the answer. There is no space after the last colon: the space belongs to
# the answer's first token. `lettered` has one option per line, `inline` all options on one line,
# `colons` one per line as MedAlpaca writes them. No text is stripped, except where its source does
# so (`stripped`): the harness keeps the white space of a published row, and it counts as text.
# `statement` is a sentence that ends where the answer begins.
LAYOUTS = {
    "open": "{abstract}Question: {question}\nAnswer:",
    "statement": "{abstract}{question}",
    "listed": "{abstract}Question: {question}\n{lettered}\nAnswer:",
    "choices": "{abstract}Question: {question}\nChoices:\n{lettered}\nAnswer:",
    "inline": "{abstract}Question: {question}\n{inline}\nAnswer:",
    "bare": "{abstract}{stripped}\n{lettered}\nAnswer:",
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
WITHOUT_OPTIONS = ("open", "statement")  # layouts that do not show the options
STATEMENT_EXAMS = ("mini_exam_cloze", "mini_exam_dev_cloze")  # their questions are statements

OURS = "ours"
HARNESS_NOW = "lm-evaluation-harness 0.4.13"
HARNESS_2023 = "lm-evaluation-harness 0.3.0"
TASK_FILES = "Clinical Camel's task files"  # TaskFiles/ of wanglab/ClinicalCamel-70B: copies read
METRICS = ("acc", "acc_norm")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a question is presented and what counts as the answer.

    `source`: whose prompt it is: "ours", or the program, its version and the task.
    `layout`: a name in LAYOUTS; in a chat, "listed" lists the options and "open" does not. "open"
    with a reply: the model writes the answer freely, and nobody can guess it (`is_free`).
    `answer_type`: the likelihood of an option's "text" or "letter", or a generated "reply".
    `chat`: a conversation in the model's own template, with exemplars as earlier turns.
    `preamble`: text before the first exemplar. `instruction`: text after the question in a chat.
    `parser`: how a reply is parsed, a name in `parsers.PARSERS`. `decoding`: how it is generated;
    up to `attempts` replies are generated until one can be parsed. `metrics`: what the source
    reports; we compute both. `exceptions`: fields that differ on a benchmark, by its label.
    """

    source: str
    layout: str
    answer_type: str
    chat: bool = False
    preamble: str = ""
    instruction: str = ""
    parser: str = ""
    decoding: Mapping[str, float] = dataclasses.field(default_factory=dict)
    attempts: int = 1
    metrics: Sequence[str] = METRICS
    exceptions: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @property
    def lists_options(self) -> bool:
        return self.layout not in WITHOUT_OPTIONS

    @property
    def is_free(self) -> bool:
        """Whether the model writes the answer without having seen the options."""
        return self.answer_type == "reply" and not self.lists_options

    @property
    def scores_texts(self) -> bool:
        """Whether the answer is the text of an option, not its letter."""
        return self.answer_type == "text" or self.is_free

    def compute_chance(self, question: Question) -> float:
        """Return the accuracy of guessing: 1 / number of options, 0 for a free answer."""
        return 0.0 if self.is_free else 1 / len(question.options)

    def for_benchmark(self, benchmark: str) -> "Protocol":
        """Return this protocol with its exceptions for a benchmark."""
        return dataclasses.replace(self, **self.exceptions.get(benchmark, {}))

    def asks_like(self, other: "Protocol") -> bool:
        """Return whether both have the same prompts and answers: all but their origin is equal."""
        origin = {"source": "", "metrics": (), "exceptions": {}}
        return dataclasses.replace(self, **origin) == dataclasses.replace(other, **origin)


_pubmedqa_2023 = {"source": f"{HARNESS_2023}: pubmedqa", "layout": "open", "metrics": ("acc",)}
_pubmedqa_now = {"source": f"{HARNESS_NOW}: pubmedqa", "layout": "open", "answer_type": "text"}
_pubmedqa_now |= {"metrics": ("acc",)}
_chat = functools.partial(Protocol, source=OURS, layout="listed", chat=True)
_chat_reply = functools.partial(_chat, answer_type="reply", parser="letter")
_free_reply = functools.partial(
    _chat, layout="open", answer_type="reply", parser="exact", decoding={"max_new_tokens": 48}
)

# Clinical Camel does not state whether it reports acc or acc_norm, so both are computed. Its task
# files score option texts; we read public copies of those for the USMLE sets, and a task file of
# the same form for `augtoma/medmcqa`, a dataset of its first author.
PROTOCOLS = {
    "option_text": Protocol(source=OURS, layout="open", answer_type="text"),
    "cloze": Protocol(source=OURS, layout="statement", answer_type="text"),
    "letter": Protocol(source=OURS, layout="listed", answer_type="letter"),
    "harness_2023": Protocol(
        source=f"{TASK_FILES} (copies)",
        layout="inline",
        answer_type="text",
        exceptions={
            "pubmedqa": _pubmedqa_2023,
            "pubmedqa_test": _pubmedqa_2023,
            "mmlu_medical": {"source": f"{HARNESS_2023}: hendrycksTest", "layout": "choices"},
        },
    ),
    "harness_now": Protocol(
        source=f"{HARNESS_NOW}: medqa_4options",
        layout="listed",
        answer_type="letter",
        exceptions={
            "medmcqa": {"source": f"{HARNESS_NOW}: medmcqa", "layout": "choices"},
            "pubmedqa": _pubmedqa_now,
            "pubmedqa_test": _pubmedqa_now,
            "mmlu_medical": {
                "source": f"{HARNESS_NOW}: mmlu",
                "layout": "bare",
                "preamble": MMLU_PREAMBLE,
                "metrics": ("acc",),
            },
        },
    ),
    "medalpaca": Protocol(
        source="kbressem/medAlpaca: eval/eval_usmle.py (commit 63448c5)",
        layout="alpaca",
        answer_type="reply",
        parser="medalpaca",
        decoding={"temperature": 0.4, "top_k": 50, "top_p": 0.9, "max_new_tokens": 128},
        attempts=5,
    ),
    "chat": _chat(answer_type="text"),
    "conversation": _chat(layout="open", answer_type="text"),
    "chat_letter": _chat(answer_type="letter"),
    "chat_reply": _chat_reply(instruction=ASK_FOR_LETTER, decoding={"max_new_tokens": 64}),
    "chat_thought": _chat_reply(instruction=ASK_FOR_REASONING, decoding={"max_new_tokens": 512}),
    "plain_reply": _free_reply(chat=False),
    "conversation_reply": _free_reply(),
}


def check_protocol(text: Any) -> str:
    """Return what is wrong with an entry of the setting `protocols`; "" for nothing.

    >>> check_protocol("conversation@mini_exam"), check_protocol("leter")
    ('', '"leter" is no protocol; did you mean letter?')
    """
    if not isinstance(text, str):
        return f"{show(text)} is no text; write a protocol, such as option_text"
    name, at, exam = text.partition("@")
    if name not in PROTOCOLS:
        return f"{show(name)} is no protocol{nearest(name, PROTOCOLS)}"
    return f"{show(text)} ends with @; name an exam after it" if at and not exam else ""


def list_protocols(entries: Sequence[str], benchmark: str) -> list[str]:
    """Return the names of those protocols that an exam is asked in, in order.

    An entry protocol@exam is for this exam alone. Statements (STATEMENT_EXAMS) are completed, so
    only "statement" layouts fit them, and these fit no other exam.

    >>> list_protocols(["option_text", "conversation@mini_exam", "cloze"], "mini_exam_reversed")
    ['option_text']
    """
    is_statement = benchmark in STATEMENT_EXAMS
    pairs = (entry.partition("@")[::2] for entry in entries)
    names = [name for name, exam in pairs if exam in ("", benchmark)]
    return [p for p in names if (PROTOCOLS[p].layout == "statement") == is_statement]


# ---------------------------------------------------------------------------------- the prompt


def render_question(question: Question, protocol: Protocol) -> str:
    """Return one question as plain text, up to the answer."""
    letters = list(zip(string.ascii_uppercase, question.options, strict=False))
    return LAYOUTS[protocol.layout].format(
        abstract=f"Abstract: {question.context}\n" if question.context else "",
        question=question.question,
        stripped=question.question.strip(),
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
        texts = question.options if protocol.scores_texts else letters
    return list(texts) if protocol.chat else [f" {text}" for text in texts]


def build_prompt(
    question: Question, exemplars: Sequence[Question], protocol: Protocol, tokenizer=None
) -> str:
    """Return the prompt of one question: its exemplars, then the question, up to the answer.

    A chat protocol needs the tokenizer; there, exemplars are earlier turns. With a tokenizer, a
    control token in a question ("</s>") is split, so that it stays text.
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
    text = preamble + "\n\n".join([*solved, render_question(question, protocol)])
    return models.split_control_tokens(tokenizer, text) if tokenizer else text


def format_prompts(
    question: Question, benchmark: str, protocols: Sequence[str], tokenizer: Any
) -> str:
    """Return the zero-shot prompt of a question in each protocol that fits its exam.

    The possible answers follow each prompt in square brackets; "..." is a free answer.
    """
    texts = []
    for name in list_protocols(protocols, benchmark):
        protocol = PROTOCOLS[name].for_benchmark(benchmark)
        prompt = build_prompt(question, [], protocol, tokenizer)
        options = ["..."] if protocol.is_free else list_continuations(question, protocol)
        texts.append(f"--- {name}: {protocol.source} ---\n{prompt}[{'] ['.join(options)}]\n")
    return "\n".join(texts)


def render_user_turn(question: Question, protocol: Protocol) -> str:
    """Return the user's message of a chat protocol."""
    text = data.format_question(question, protocol.lists_options)
    return "\n".join(filter(None, [text, protocol.instruction]))
