"""Everything that touches torch: load, render, tokenize, score, generate, for models of any size.

    choices        how a model may be loaded: closed sets for settings, no torch
    loading        models, adapters, tokenizers, quantization
    templates      the chat template of each model family
    tokenization   conversations and texts as token ids
    scoring        log-likelihood of continuations
    generation     text after a prompt

Training, scoring and generation all render a conversation with the tokenizer's chat template. A
text that already starts with the BOS token never gets a second one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "generation": ["Decoding", "generate"],
        "loading": [
            "LLM",
            "ModelError",
            "accepts_position_ids",
            "compute_dtype",
            "device",
            "freeze_quantization",
            "hash_weights",
            "identify_weights",
            "load",
            "load_base",
            "load_tokenizer",
            "locate",
            "make_quantization_config",
            "require_matching_tokenizer",
            "require_no_remote_code",
        ],
        "scoring": ["plan_batches", "score_pairs"],
        "templates": ["TEMPLATES"],
        "tokenization": [
            "IGNORE_INDEX",
            "Pair",
            "find_reply_prefix",
            "render_chat",
            "tokenize_dialogue",
            "tokenize_document",
            "tokenize_pair",
            "tokenize_text",
        ],
    },
)
