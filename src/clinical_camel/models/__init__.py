"""Everything that touches torch: load, render, encode, score, generate. All sizes, one code path.

    loading      models, adapters, tokenizers, quantisation
    templates    how a conversation is written, for each family of bases
    encoding     conversations and texts as token ids
    scoring      the log-likelihood of continuations
    generation   text after a prompt

One decision worth knowing: training, scoring and generation all render a conversation through the
tokenizer's own chat template; a text that already starts with the BOS token never gets a second.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "encoding": [
            "IGNORE",
            "Pair",
            "common_prefix",
            "encode",
            "encode_dialogue",
            "encode_pair",
            "encode_text",
            "render_chat",
            "reply_lead",
        ],
        "generation": ["generate"],
        "loading": [
            "LLM",
            "ModelError",
            "QUANTIZE",
            "adapter_problem",
            "compute_dtype",
            "device",
            "file_hash",
            "fingerprint",
            "load",
            "load_base",
            "load_tokenizer",
            "locate",
            "quantization",
            "refuse_own_code",
            "steady",
            "takes_positions",
            "tokenizer_problem",
        ],
        "scoring": ["laid_out", "score"],
        "templates": ["TEMPLATES"],
    },
)
