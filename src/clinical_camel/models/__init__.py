"""Everything that touches torch: load, render, encode, score, generate. All sizes, one code path.

    loading      models, adapters, tokenizers, quantisation
    templates    how a conversation is written, for each family of bases
    encoding     conversations and texts as token ids
    scoring      the log-likelihood of continuations
    generation   text after a prompt

One decision worth knowing: training, scoring and generation all render a conversation through the
tokenizer's own chat template; a text that already starts with the BOS token never gets a second.
"""

from clinical_camel.models.encoding import (
    IGNORE,
    Pair,
    common_prefix,
    encode,
    encode_dialogue,
    encode_pair,
    encode_text,
    render_chat,
    reply_lead,
)
from clinical_camel.models.generation import generate
from clinical_camel.models.loading import (
    LLM,
    QUANTIZE,
    ModelError,
    adapter_problem,
    compute_dtype,
    device,
    file_hash,
    fingerprint,
    load,
    load_base,
    load_tokenizer,
    locate,
    quantization,
    refuse_own_code,
    steady,
    takes_positions,
    tokenizer_problem,
)
from clinical_camel.models.scoring import laid_out, score
from clinical_camel.models.templates import TEMPLATES

__all__ = [
    "IGNORE",
    "LLM",
    "ModelError",
    "Pair",
    "QUANTIZE",
    "TEMPLATES",
    "adapter_problem",
    "common_prefix",
    "compute_dtype",
    "device",
    "encode",
    "encode_dialogue",
    "encode_pair",
    "encode_text",
    "file_hash",
    "fingerprint",
    "generate",
    "laid_out",
    "load",
    "load_base",
    "load_tokenizer",
    "locate",
    "quantization",
    "refuse_own_code",
    "render_chat",
    "reply_lead",
    "score",
    "steady",
    "takes_positions",
    "tokenizer_problem",
]
