"""A protocol is data: how a question is laid out, what of it is scored, and how a reply is read.

What one paper calls "five-shot accuracy on MedQA" is several protocols at once. Here each has a
name, so a score can say which one it is, and one model can be put through all of them.
"""

import dataclasses
import random
import re
import string
from collections.abc import Mapping, Sequence

from clinical_camel import data, models
from clinical_camel.data import Question

# Plain-text layouts, up to where the model must answer. No space after the colon: the space belongs
# to the answer's first token. `lettered` has an option a line, `inline` all in one, `colons` the
# form of MedAlpaca.
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
ABOUT = "The following are multiple choice questions (with answers) about {subset}.\n\n"
THINK = "Think step by step, then end with one line: Answer: and the letter."
REPLY = "Reply with the letter of the right option."
SCORES = ("text", "letter", "reply")
_open_text = {"layout": "open", "scores": "text"}
_choices = {"layout": "choices"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a question is asked and what counts as the answer.

    `layout`: a name in LAYOUTS; in a chat only whether the options are listed ("listed") or not
    ("open"). `scores`: the likelihood of an option's "text" or "letter", or a generated "reply".
    `chat`: a conversation in the model's own template, worked examples as earlier turns.
    `preamble`: text before the first example, `request`: text after the question in a chat.
    `reader`: how a reply is read, a name in READERS. `decoding`: how it is written; up to `tries`
    replies are drawn until one can be read. `exceptions`: what differs on a benchmark, by label.
    """

    layout: str
    scores: str
    chat: bool = False
    preamble: str = ""
    request: str = ""
    reader: str = ""
    decoding: Mapping[str, float] = dataclasses.field(default_factory=dict)
    tries: int = 1
    exceptions: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def on(self, benchmark: str) -> "Protocol":
        """This protocol as it is on a benchmark."""
        return dataclasses.replace(self, **self.exceptions.get(benchmark, {}))


# Sources: harness_2023 is lm-evaluation-harness v0.3.0 with the task files of Clinical Camel,
# harness_now its version 0.4 (medqa_4options, medmcqa, pubmedqa, mmlu); medalpaca is
# eval/eval_usmle.py of kbressem/medAlpaca. Which of `acc` and `acc_norm` Clinical Camel reports is
# not known: both are computed.
PROTOCOLS = {
    "option_text": Protocol(layout="open", scores="text"),
    "letter": Protocol(layout="listed", scores="letter"),
    "harness_2023": Protocol(
        layout="inline",
        scores="text",
        exceptions={"mmlu_medical": _choices, "medmcqa": _choices, "pubmedqa": _open_text}
        | {"pubmedqa_test": _open_text},
    ),
    "harness_now": Protocol(
        layout="listed",
        scores="letter",
        exceptions={"medmcqa": _choices, "pubmedqa": _open_text, "pubmedqa_test": _open_text}
        | {"mmlu_medical": {"layout": "bare", "preamble": ABOUT}},
    ),
    "medalpaca": Protocol(
        layout="alpaca",
        scores="reply",
        reader="medalpaca",
        decoding={"temperature": 0.4, "top_k": 50, "top_p": 0.9, "max_new_tokens": 128},
        tries=5,
    ),
    "chat": Protocol(layout="listed", scores="text", chat=True),
    "conversation": Protocol(layout="open", scores="text", chat=True),
    "chat_letter": Protocol(layout="listed", scores="letter", chat=True),
    "chat_reply": Protocol(
        layout="listed",
        scores="reply",
        chat=True,
        request=REPLY,
        reader="letter",
        decoding={"max_new_tokens": 64},
    ),
    "chat_thought": Protocol(
        layout="listed",
        scores="reply",
        chat=True,
        request=THINK,
        reader="letter",
        decoding={"max_new_tokens": 512},
    ),
}


# ---------------------------------------------------------------------------------- the prompt


def question_block(question: Question, protocol: Protocol) -> str:
    """One question as plain text, up to where the model must answer."""
    letters = list(zip(string.ascii_uppercase, question.options, strict=False))
    return LAYOUTS[protocol.layout].format(
        abstract=f"Abstract: {question.context}\n" if question.context else "",
        question=question.question,
        lettered="\n".join(f"{letter}. {option}" for letter, option in letters),
        inline=" ".join(f"({letter}) {option}" for letter, option in letters),
        colons="\n".join(f"{letter}: {option}" for letter, option in letters),
    )


def continuations(question: Question, protocol: Protocol) -> list[str]:
    """What each option adds to the prompt; in chat the reply starts at once, without a space."""
    letters = list(string.ascii_uppercase[: len(question.options)])
    if protocol.reader == "medalpaca":
        texts = [f"{a}: {o}" for a, o in zip(letters, question.options, strict=True)]
    else:
        texts = question.options if protocol.scores == "text" else letters
    return list(texts) if protocol.chat else [f" {text}" for text in texts]


def build_prompt(
    question: Question, exemplars: Sequence[Question], protocol: Protocol, tokenizer=None
) -> str:
    """The prompt of one question after its worked examples, ending where the model must answer.

    The tokenizer is needed for a chat protocol only, where examples are earlier turns.
    """
    if protocol.chat:
        messages = []
        for row in (*exemplars, question):
            asked = data.question_text(row, protocol.layout != "open")
            asked = "\n".join(filter(None, [asked, protocol.request]))
            messages.append(_turn("user", asked))
            messages.append(_turn("assistant", continuations(row, protocol)[row.answer]))
        return models.render_chat(tokenizer, messages[:-1])  # all but the answer asked for
    preamble = protocol.preamble.format(subset=question.subset.replace("_", " "))
    worked = [question_block(e, protocol) + continuations(e, protocol)[e.answer] for e in exemplars]
    return preamble + "\n\n".join([*worked, question_block(question, protocol)])


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


# ------------------------------------------------------------------------------ worked examples

EXEMPLAR_CHOICES = ("fixed", "per_question")
SEVERAL_EXAMS = ("mmlu_medical",)  # a subset is an exam of its own, with examples of its own


def choose_exemplars(
    benchmark: str,
    pool: Sequence[Question],
    questions: Sequence[Question],
    num_shots: int,
    exemplar_choice: str,
    seed: int,
) -> dict[str, tuple[Question, ...]]:
    """The worked examples of each question, by its id.

    "fixed" shows all questions the same ones, which a model then reads once; "per_question" draws
    them anew for each, as lm-evaluation-harness does where a task does not say otherwise, so that
    no question's luck is everybody's. In MMLU they come from the question's own subject. Raises
    ValueError where there are too few.
    """
    if not num_shots:
        return {question.id: () for question in questions}
    exams = {q.id: q.subset if benchmark in SEVERAL_EXAMS else "" for q in questions}
    pools = {name: [e for e in pool if name in ("", e.subset)] for name in set(exams.values())}
    for name, rows in pools.items():
        _refuse_too_few(num_shots, rows, ", ".join(filter(None, [benchmark, name])))
    if exemplar_choice == "fixed":
        fixed = {name: tuple(data.sample(rows, num_shots)) for name, rows in pools.items()}
        return {q.id: fixed[exams[q.id]] for q in questions}
    texts = {example.question for example in pool}
    chosen = {}
    for question in questions:
        others = pools[exams[question.id]]
        if question.question in texts:
            others = [e for e in others if e.question != question.question]
            _refuse_too_few(num_shots, others, f"{benchmark} beside question {question.id} itself")
        drawn = random.Random(f"{seed}:{question.id}").sample(others, num_shots)
        chosen[question.id] = tuple(drawn)
    return chosen


def _refuse_too_few(num_shots: int, rows: Sequence[Question], what: str) -> None:
    if num_shots > len(rows):
        raise ValueError(
            f"num_shots: {num_shots} asked for, but exemplars hold {len(rows)} questions for {what}"
        )


# ----------------------------------------------------------------------- the same, asked otherwise

VARIANTS = ("as_given", "shuffled", "options_only", "none_of_the_above")
OPTIONS_ONLY = "Which of these is right?"
NONE = "None of the above"


def vary(question: Question, variant: str, seed: int) -> Question:
    """A question changed so that the score means something else.

    "shuffled": the options in another order (does the place matter?). "options_only": without the
    question (what do the options give away?). "none_of_the_above": the right option is replaced by
    that phrase, which is then right (is it known that the others are wrong?).
    """
    if variant == "shuffled":
        order = random.Random(f"{seed}:{question.id}").sample(
            range(len(question.options)), len(question.options)
        )
        options = [question.options[i] for i in order]
        return dataclasses.replace(question, options=options, answer=order.index(question.answer))
    if variant == "options_only":
        return dataclasses.replace(question, question=OPTIONS_ONLY, context="")
    if variant == "none_of_the_above":
        options = [NONE if i == question.answer else o for i, o in enumerate(question.options)]
        return dataclasses.replace(question, options=options)
    return question


# ------------------------------------------------------------------------------ reading a reply

# A capital from A to J that is no word: "A" and "I" need a mark or the end behind them.
_LETTER = r"([B-HJ]\b(?!['’-])|[AI](?=[\s*\"'\])]*(?:[.:,;)\n]|$| or | and )))"
_SAID = re.compile(
    r"(?i:answer|option|choice)\s*(?i:is|would be)?\s*[:*\s(\[\"']*" + _LETTER, re.MULTILINE
)
_ALONE = re.compile(r"^[\s*(\[\"']*([A-Ja-j])[\s*)\].:\"']*$")
_FIRST = re.compile(r"^[\s*(\[\"']*([A-J])[)\].:]")
_MEDALPACA = re.compile(r"^([A-Z])[:. ]\s*\S")


def read_letter(reply: str, options: Sequence[str]) -> int:
    """The option that a reply names, or -1 where it names none, or more than one.

    In this order: "answer is B" or "Answer: B", where they differ those of the last line; a letter
    alone on the first line, or first there with a mark ("B.", "(B) ..."); the one option whose
    whole text is in the reply.
    """
    lines = reply.strip().splitlines() or [""]
    found = set(_SAID.findall(reply))
    if len(found) > 1:
        found = set(_SAID.findall(lines[-1])) or found
    if not found:
        match = _ALONE.match(lines[0]) or _FIRST.match(lines[0])
        found = {match[1].upper()} if match else set()
    if len(found) == 1:
        index = string.ascii_uppercase.index(found.pop())
        return index if index < len(options) else -1
    text = _plain(reply)
    named = [i for i, option in enumerate(options) if f" {_plain(option)} " in f" {text} "]
    inside = {
        i for i in named for j in named if i != j and _plain(options[i]) in _plain(options[j])
    }
    named = [i for i in named if i not in inside]
    return named[0] if len(named) == 1 and not found else -1


def read_medalpaca(reply: str, options: Sequence[str]) -> int:
    """The option as MedAlpaca's script reads it, or -1: a capital, a colon, stop or space, text.

    As theirs, it takes any sentence that begins with the word "A" for option A.
    """
    match = _MEDALPACA.match(reply.strip())
    index = string.ascii_uppercase.index(match[1]) if match else -1
    return index if index < len(options) else -1


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[\w%./+-]+", text.lower().replace(".", " ")))


READERS = {"letter": read_letter, "medalpaca": read_medalpaca}
