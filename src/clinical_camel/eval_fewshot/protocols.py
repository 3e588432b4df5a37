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
from clinical_camel.data import Question

# Plain-text layouts, up to the answer. There is no space after the last colon: the space belongs to
# the answer's first token. `lettered` has one option per line, `inline` all options on one line,
# `colons` one per line as MedAlpaca writes them. No text is stripped, except where its source does
# so (`stripped`): the harness keeps the white space of a published row, and it counts as text.
LAYOUTS = {
    "open": "{abstract}Question: {question}\nAnswer:",
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

OURS = "ours"
HARNESS_NOW = "lm-evaluation-harness 0.4.13"
HARNESS_2023 = "lm-evaluation-harness 0.3.0"
TASK_FILES = "Clinical Camel's task files"  # TaskFiles/ of wanglab/ClinicalCamel-70B: copies read
METRICS = ("acc", "acc_norm")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a question is presented and what counts as the answer.

    `source`: whose prompt it is: "ours", or the program, its version and the task.
    `layout`: a name in LAYOUTS; in a chat, "listed" lists the options and "open" does not.
    `answer_type`: the likelihood of an option's "text" or "letter", or a generated "reply".
    `chat`: a conversation in the model's own template, with exemplars as earlier turns.
    `preamble`: text before the first exemplar. `instruction`: text after the question in a chat.
    `parser`: how a reply is parsed, a name in `replies.PARSERS`. `decoding`: how it is generated;
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

# Clinical Camel does not state whether it reports acc or acc_norm, so both are computed. Its task
# files score option texts; we read public copies of those for the USMLE sets, and a task file of
# the same form for `augtoma/medmcqa`, a dataset of its first author.
PROTOCOLS = {
    "option_text": Protocol(source=OURS, layout="open", answer_type="text"),
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
}


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
        texts = question.options if protocol.answer_type == "text" else letters
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


def render_user_turn(question: Question, protocol: Protocol) -> str:
    """Return the user's message of a chat protocol."""
    text = data.format_question(question, protocol.layout != "open")
    return "\n".join(filter(None, [text, protocol.instruction]))
