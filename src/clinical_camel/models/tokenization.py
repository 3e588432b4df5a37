"""Texts to token ids: one chat template for training, scoring and generation; one BOS token.

A control token of the model (the end of a turn, BOS) comes from the template or from here, never
from data: `split_control_tokens` breaks those that a text contains.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jinja2

from clinical_camel.data import Message
from clinical_camel.models.gate import ModelError

if TYPE_CHECKING:  # `estimate` counts tokens without the library, which imports torch
    from transformers import PreTrainedTokenizerBase

IGNORE_INDEX = -100  # the label of a token without loss
MARKUP = re.compile(r"<.+>|\[.+\]")  # the form of a control token that is not marked as special
REASONING = {"<think>", "</think>"}  # a model may be trained to write its reasoning between these


def split_control_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Return a text from data with a space in each control token: "</s>" becomes "< /s>".

    Otherwise a question that contains "</s>" would end the turn. Control tokens are the special
    tokens and the added tokens in angle or square brackets, except REASONING. A text without one is
    returned as it is. The tokenizer's own `split_special_tokens` cannot do this: it acts on a
    complete prompt, with the template's tokens, and passes over tokens not marked as special.
    Raises ModelError for a text from which the tokenizer would still make a control token.
    """
    pattern = _compile_control_tokens(_list_control_tokens(tokenizer))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    normalizer = getattr(backend, "normalizer", None)
    for form in (text, unicodedata.normalize("NFKC", text)):  # a tokenizer may do the latter
        split = pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", form)
        normal = normalizer.normalize_str(split) if normalizer else split
        if not (match := pattern.search(normal) or pattern.search(split)):
            return split
    raise ModelError(f"a text contains the control token {match[0]!r}; remove it from the data")


def _list_control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    added = tokenizer.added_tokens_decoder.values()
    tokens = {t.content for t in added if t.special or MARKUP.fullmatch(t.content)} - REASONING
    return tuple(sorted((t for t in tokens if len(t.strip()) > 1), key=len, reverse=True))


@functools.lru_cache
def _compile_control_tokens(tokens: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tokens)) or "(?!)")  # (?!) matches nothing


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], generation: bool = True
) -> str:
    """Render a conversation with the chat template; `generation` adds the start of a reply.

    Control tokens in the messages are split. Raises ModelError if the template refuses them.
    """
    return _apply_template(tokenizer, messages, tokenize=False, add_generation_prompt=generation)


def _apply_template(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], **options: Any
) -> Any:
    split = [m | {"content": split_control_tokens(tokenizer, m["content"])} for m in messages]
    try:
        return tokenizer.apply_chat_template(split, **options)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ModelError(
            f"chat template refuses a conversation of {len(split)} messages "
            f"({', '.join(m['role'] for m in split[:3])} ...): {error}; set another chat_template"
        ) from error


def find_reply_prefix(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the white space between prompt and reply in the chat template: " " for Llama 2.

    A scored reply must start with it, or its first token is one that the model never saw there. A
    prompt for generation ends without it.
    """
    messages: list[Message] = [{"role": "user", "content": "?"}]
    prompt = render_chat(tokenizer, messages)
    text = render_chat(tokenizer, [*messages, {"role": "assistant", "content": "@"}], False)
    prefix = text.removeprefix(prompt).partition("@")[0] if text.startswith(prompt) else ""
    return prefix if prefix.isspace() else ""


def tokenize_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return token ids, with special tokens unless the text already starts with BOS.

    A control token in the text becomes its id, as in the result of `render_chat`: pass a text from
    data through `split_control_tokens` first.
    """
    bos = tokenizer.bos_token
    return tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))


def tokenize_dialogue(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], loss_on: str
) -> dict[str, list[int]]:
    """Return `input_ids` and `labels` of one dialogue; labels without loss are IGNORE_INDEX.

    `loss_on="assistant"`: the target tokens are the assistant turns with their end tokens. "all":
    every token is a target. Control tokens in the messages are split. Raises ModelError if the
    template does not mark every assistant turn.
    """
    encoded = _apply_template(
        tokenizer, messages, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    if not any(mask):
        raise ModelError(
            "chat template marks no assistant turn for the loss (it has no {% generation %}); set "
            "chat_template to one of ours, such as chatml"
        )
    starts = sum(now > before for before, now in zip([0, *mask], mask, strict=False))
    turns = sum(message["role"] == "assistant" for message in messages)
    if starts != turns:  # transformers stops marking, without warning, where no token starts
        raise ModelError(f"chat template marks {starts} of {turns} assistant turns as targets")
    is_target = [True] * len(ids) if loss_on == "all" else mask
    labels = [i if m else IGNORE_INDEX for i, m in zip(ids, is_target, strict=True)]
    return {"input_ids": ids, "labels": labels}


def tokenize_document(tokenizer: PreTrainedTokenizerBase, text: str) -> dict[str, list[int]]:
    """Return `input_ids` and `labels` of a plain text: every token is a target, EOS at the end.

    Control tokens in the text are split.
    """
    text = split_control_tokens(tokenizer, text)
    ids = [*tokenize_text(tokenizer, text), tokenizer.eos_token_id]
    return {"input_ids": ids, "labels": list(ids)}


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of a context and of a continuation to be scored after it."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.context) + len(self.continuation)


def tokenize_pair(tokenizer: PreTrainedTokenizerBase, context: str, continuation: str) -> Pair:
    """Tokenize both parts as one text and split it where the context alone ends.

    This follows lm-evaluation-harness (`_encode_pair`): " B" after "Answer:" must become the token
    that a model would produce there. White space at the end of the context moves to the
    continuation, because it may form one token with the next word. Control tokens in the
    continuation are split; those in the context are not (see `tokenize_text`). Raises ModelError if
    the continuation has no token.
    """
    continuation = split_control_tokens(tokenizer, continuation)
    context, space = context.rstrip(), context[len(context.rstrip()) :]
    continuation = space + continuation
    split = len(tokenize_text(tokenizer, context))
    ids = tokenize_text(tokenizer, context + continuation)
    pair = Pair(tuple(ids[:split]), tuple(ids[split:]))
    if not pair.continuation:
        raise ModelError(
            f"continuation {continuation!r} adds no token to its context; write a longer one"
        )
    return pair


def count_shared_tokens(sequences: Sequence[Sequence[int]]) -> int:
    """Return how many leading tokens all sequences share.

    >>> count_shared_tokens([(1, 2, 3), (1, 2, 4, 5)])
    2
    """
    first, last = min(sequences), max(sequences)
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))
