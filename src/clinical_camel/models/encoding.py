"""Texts to token ids: one chat template for training, scoring and generation, one BOS token."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from clinical_camel.data import Message
from clinical_camel.models.loading import ModelError

IGNORE = -100  # the label that carries no loss


def render_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], generation: bool = True
) -> str:
    """A conversation as the model meets it, up to where the assistant must speak."""
    return tokenizer.apply_chat_template(
        list(messages), tokenize=False, add_generation_prompt=generation
    )


def reply_lead(tokenizer: PreTrainedTokenizerBase) -> str:
    """The white space that the chat template puts before a reply: " " in Llama 2's, often none.

    It belongs to a reply that is scored, or its first token would be one the model never wrote
    there; a prompt that a reply is generated for ends without it.
    """
    asked: list[Message] = [{"role": "user", "content": "?"}]
    answered: list[Message] = [*asked, {"role": "assistant", "content": "@"}]
    prompt, whole = render_chat(tokenizer, asked), render_chat(tokenizer, answered, False)
    lead = whole.removeprefix(prompt).partition("@")[0] if whole.startswith(prompt) else ""
    return lead if lead.isspace() else ""


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids; special tokens are added unless the text already starts with the BOS token."""
    bos = tokenizer.bos_token
    return tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))


def encode_dialogue(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], loss_on: str
) -> dict[str, list[int]]:
    """`input_ids` and `labels` of one dialogue. Labels are IGNORE where no loss falls.

    `loss_on="assistant"` trains every assistant turn with its end token and nothing else;
    `"all"` trains every token.
    """
    encoded = tokenizer.apply_chat_template(
        list(messages), return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    if not any(mask):
        raise ModelError("chat template marks no assistant turn: {% generation %} is missing")
    starts = sum(now > before for before, now in zip([0, *mask], mask, strict=False))
    turns = sum(message["role"] == "assistant" for message in messages)
    if starts != turns:  # transformers stops marking, in silence, at a place without a token
        raise ModelError(f"chat template marks {starts} of {turns} assistant turns as trained")
    if loss_on == "all":
        return {"input_ids": ids, "labels": list(ids)}
    return {
        "input_ids": ids,
        "labels": [i if m else IGNORE for i, m in zip(ids, mask, strict=True)],
    }


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> dict[str, list[int]]:
    """`input_ids` and `labels` of a plain text, every token trained, closed by the end token."""
    ids = [*encode(tokenizer, text), tokenizer.eos_token_id]
    return {"input_ids": ids, "labels": list(ids)}


@dataclass(frozen=True, slots=True)
class Pair:
    """A context and a continuation whose likelihood is wanted, as token ids."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.context) + len(self.continuation)


def encode_pair(tokenizer: PreTrainedTokenizerBase, context: str, continuation: str) -> Pair:
    """Both parts tokenised as one text and split where the context alone ends.

    As lm-evaluation-harness does (`_encode_pair`): " B" after "Answer:" must become the token that
    a model would produce there. White space that ends the context, as a chat template may leave it,
    goes to the continuation: it may be one token with what follows. Raises ModelError if nothing is
    left of the continuation.
    """
    context, space = context.rstrip(), context[len(context.rstrip()) :]
    continuation = space + continuation
    start, whole = encode(tokenizer, context), encode(tokenizer, context + continuation)
    pair = Pair(tuple(whole[: len(start)]), tuple(whole[len(start) :]))
    if not pair.continuation:
        raise ModelError(f"continuation {continuation!r} adds no token to its context")
    return pair


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all sequences share.

    >>> common_prefix([(1, 2, 3), (1, 2, 4, 5)])
    2
    """
    first, last = min(sequences), max(sequences)
    pairs = enumerate(zip(first, last, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(last)))
