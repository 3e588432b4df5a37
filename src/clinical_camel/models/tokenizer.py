"""Load a tokenizer with a chat template that is safe, and the same in training and inference."""

from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from clinical_camel.core.hashing import key_hash
from clinical_camel.models import gate
from clinical_camel.models.folders import TOKENIZER_FILES, explain, fetch, require_no_remote_code
from clinical_camel.models.gate import ModelError
from clinical_camel.models.template_probe import check_template
from clinical_camel.models.templates import REPLY_ENDS, TEMPLATES

# A rendered template must not depend on the day: the date that Llama 3.2's template falls back on.
FIXED_DATE = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"


def load_tokenizer(model: str, chat_template: str = "") -> PreTrainedTokenizerBase:
    """Load the model's tokenizer with a chat template and a pad token that is never a target.

    Raises ModelError for a damaged tokenizer, and for a template that is missing, does not end, or
    would differ between training and inference.
    """
    tokenizer = load_plain_tokenizer(model)
    if chat_template:
        tokenizer.chat_template = TEMPLATES[chat_template]
        _set_end_token(tokenizer, model, chat_template)
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{model}: its tokenizer has no EOS token, so that no reply would end; set eos_token "
            "in tokenizer_config.json, or a chat_template that ends a reply with a token of its own"
        )
    _require_template(tokenizer, model)
    _require_consistent_bos(tokenizer, model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.unk_token or tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_plain_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """Load the model's tokenizer as it is. Raises ModelError for a damaged one."""
    folder = fetch(model, TOKENIZER_FILES)
    require_no_remote_code(model, folder)
    gate.require_no_problem(gate.check_tokenizer_folder(folder), model)
    with explain(model, "loading the tokenizer"):
        return AutoTokenizer.from_pretrained(str(folder))


def _set_end_token(tokenizer: PreTrainedTokenizerBase, model: str, chat_template: str) -> None:
    """Make the token that ends a reply in this template the tokenizer's EOS token."""
    end = REPLY_ENDS.get(chat_template, tokenizer.eos_token)
    if end is None or end not in tokenizer.get_vocab():
        raise ModelError(
            f"chat_template: {chat_template} ends a reply with {end or 'an EOS token'}, which the "
            f"tokenizer of {model} does not have; choose another of {', '.join(TEMPLATES)}"
        )
    tokenizer.eos_token = end


def _require_template(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """Require a template that renders a short conversation; a foreign one is tried in a child."""
    if isinstance(tokenizer.chat_template, dict):  # several, for tools or documents
        tokenizer.chat_template = tokenizer.chat_template.get("default")
    template, choices = tokenizer.chat_template, ", ".join(TEMPLATES)
    if not isinstance(template, str) or not template:
        raise ModelError(f"{model}: has no chat template; set chat_template: {choices}")
    if template in TEMPLATES.values():
        return
    tokens = {k: v for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)}
    if problem := check_template(template, tuple(sorted(tokens.items()))):
        raise ModelError(f"{model}: its chat template {problem}; set chat_template: {choices}")
    if "strftime_now" in template and FIXED_DATE not in template:
        tokenizer.chat_template = FIXED_DATE + template


def _require_consistent_bos(tokenizer: PreTrainedTokenizerBase, model: str) -> None:
    """Require the same tokens in training (template only) and inference (text, special tokens)."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@"}]
    with explain(model, "rendering the chat template"):
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    bos = tokenizer.bos_token
    at_inference = tokenizer.encode(text, add_special_tokens=not (bos and text.startswith(bos)))
    if tokenizer.encode(text, add_special_tokens=False) != at_inference:
        raise ModelError(
            f"chat_template: begins without the {bos} that the tokenizer of {model} adds; choose "
            "another, or training and inference would differ"
        )


def require_matching_tokenizer(tokenizer: PreTrainedTokenizerBase, model: Any, name: str) -> None:
    """Raise ModelError, with the model's name, for the tokenizer of another model.

    Its token ids lie beyond the embedding matrix, or use less than half of it.
    """
    last = max(tokenizer.get_vocab().values(), default=-1)
    rows = model.get_input_embeddings().num_embeddings
    if 2 * (last + 1) < rows:
        raise ModelError(
            f"{name}: tokenizer has {last + 1} tokens, the model {rows} embeddings; use the "
            "tokenizer that the base was trained with"
        )
    if last >= rows:
        token = tokenizer.convert_ids_to_tokens(last)
        raise ModelError(
            f"{name}: tokenizer has more tokens than the model has embeddings: {token!r} has id "
            f"{last}, the model {rows} rows; use the tokenizer that the base was trained with"
        )


def require_same_ids(
    tokenizer: PreTrainedTokenizerBase, base: PreTrainedTokenizerBase, name: str
) -> None:
    """Raise ModelError, with the adapter's name, if a token has another id than in the base."""
    ids = base.get_vocab()
    for token, number in tokenizer.get_vocab().items():
        if ids.get(token, number) != number:
            raise ModelError(
                f"{name}: its tokenizer gives {token!r} the id {number}, the base model "
                f"{ids[token]}; use the base that the adapter was trained on"
            )


def identify_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Return hashes of vocabulary and template, 16 hex digits each: `tokenizer_sha256`, ..."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = backend.to_str() if backend else tokenizer.get_vocab()
    special = dict(sorted(tokenizer.special_tokens_map.items()))
    return {
        "tokenizer_sha256": key_hash([content, special])[:16],
        "template_sha256": key_hash(tokenizer.chat_template)[:16],
    }
