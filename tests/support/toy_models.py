"""Small random models of several architectures, with the tokenizer of the shipped base."""

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    FalconConfig,
    FalconForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from clinical_camel import models

SIZES = {"vocab_size": 2048, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2, "initializer_range": 0.3}
KINDS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=4096)),
    "mistral, short window": lambda: MistralForCausalLM(
        MistralConfig(**GROUPED, sliding_window=16)
    ),
    "qwen": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED)),
    "bloom": lambda: BloomForCausalLM(
        BloomConfig(vocab_size=2048, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    ),
    "falcon with ALiBi": lambda: FalconForCausalLM(FalconConfig(**SIZES, alibi=True)),
    "recurrent": lambda: MambaForCausalLM(
        MambaConfig(vocab_size=2048, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
    "half recurrent": lambda: Lfm2ForCausalLM(
        Lfm2Config(**GROUPED, layer_types=["conv", "full_attention"])
    ),
    "attention in chunks": lambda: Llama4ForCausalLM(
        Llama4TextConfig(
            **GROUPED,
            num_local_experts=2,
            head_dim=8,
            intermediate_size_mlp=16,
            attention_chunk_size=16,
            no_rope_layers=[1, 0],
        )
    ),
    "capped logits": lambda: Gemma2ForCausalLM(
        Gemma2Config(**GROUPED, head_dim=8, final_logit_softcapping=5.0, sliding_window=4096)
    ),
}


def random_model(kind: str) -> models.LLM:
    torch.manual_seed(1)
    model = KINDS[kind]().eval()
    return models.LLM(kind, model, models.load_tokenizer("mini"), 512)
