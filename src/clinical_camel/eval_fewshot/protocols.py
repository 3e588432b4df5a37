"""A protocol is data: how a question is laid out, and what of it is scored."""

from collections.abc import Sequence
from dataclasses import dataclass

from clinical_camel import data, models
from clinical_camel.data import Question


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a question is asked.

    `lists_options`: the options stand in the prompt, lettered. `scores`: the option's "text" or its
    "letter". `chat`: a conversation in the model's own template, else plain text.
    """

    lists_options: bool
    scores: str
    chat: bool


PROTOCOLS = {
    "option_text": Protocol(lists_options=False, scores="text", chat=False),
    "letter": Protocol(lists_options=True, scores="letter", chat=False),
    "chat": Protocol(lists_options=True, scores="text", chat=True),
    "conversation": Protocol(lists_options=False, scores="text", chat=True),
}


def question_block(question: Question, protocol: Protocol) -> str:
    """One question as plain text, up to and with "Answer:".

    No space after "Answer:": the space belongs to the answer's first token.
    """
    lines = [f"Abstract: {question.context}"] if question.context else []
    lines.append(f"Question: {question.question}")
    if protocol.lists_options:
        lines += [f"{chr(65 + i)}. {option}" for i, option in enumerate(question.options)]
    return "\n".join([*lines, "Answer:"])


def continuations(question: Question, protocol: Protocol) -> list[str]:
    """What each option adds to the prompt; in chat the reply starts at once, without a space."""
    letters = [chr(65 + i) for i in range(len(question.options))]
    texts = letters if protocol.scores == "letter" else question.options
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
            messages.append(_turn("user", data.question_text(row, protocol.lists_options)))
            messages.append(_turn("assistant", continuations(row, protocol)[row.answer]))
        return models.render_chat(tokenizer, messages[:-1])  # all but the answer asked for
    worked = [question_block(e, protocol) + continuations(e, protocol)[e.answer] for e in exemplars]
    return "\n\n".join([*worked, question_block(question, protocol)])


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
