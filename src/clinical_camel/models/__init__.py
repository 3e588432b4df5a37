"""Everything that touches torch: load, render, tokenize, score, generate, for models of any size.

    choices        how a model may be loaded: closed sets for settings, no torch
    limits         what the files of a base model rule out in settings, no torch
    gate           what is refused in a model folder, no torch
    adapter_gate   what is refused in an adapter folder, no torch
    weights        safetensors files: headers, hashes, finite numbers, no torch
    packaged       fetch a model out of a Python package
    folders        names of models as folders: shipped, local, from the hub
    templates      the chat template of each model family
    template_probe an untrusted template, rendered with limits in a child process
    tokenizer      the tokenizer of a model, with its template
    fused_lora     LoRA in one pass
    adapters       whether an adapter belongs to a base; an adapter loaded, and saved
    compute        device, type of the numbers, threads
    loading        models with their adapters, quantization
    checkpoints    what an interrupted training resumes from
    tokenization   conversations and texts as token ids
    batches        continuations as rows of a batch, no torch
    scoring        log-likelihood of continuations
    generation     text after a prompt

Training, scoring and generation all render a conversation with the tokenizer's chat template. A
text that already starts with the BOS token never gets a second one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "generation": [
            "Decoding",
            "compute_seed",
            "generate",
            "generate_to_journal",
            "generate_tokens",
        ],
        "folders": [
            "identify_model",
            "identify_weights",
            "locate",
            "require_model",
            "require_no_remote_code",
        ],
        "adapter_gate": ["adapter_base", "check_adapter_folder"],
        "gate": ["ModelError", "check_model_folder", "require_no_problem"],
        "checkpoints": ["TrainingError"],
        "compute": ["choose_dtype", "device", "multiplies_bfloat16", "use_threads"],
        "loading": [
            "LLM",
            "accepts_position_ids",
            "build_skeleton",
            "find_context_length",
            "freeze_quantization",
            "load",
            "load_base",
            "load_without_weights",
            "make_quantization_config",
            "require_room",
        ],
        "tokenizer": ["identify_tokenizer", "load_tokenizer", "require_matching_tokenizer"],
        "weights": ["hash_weights"],
        "batches": ["plan_batches"],
        "scoring": ["score_pairs"],
        "templates": ["TEMPLATES"],
        "tokenization": [
            "IGNORE_INDEX",
            "Pair",
            "find_reply_prefix",
            "render_chat",
            "split_control_tokens",
            "tokenize_dialogue",
            "tokenize_document",
            "tokenize_pair",
            "tokenize_text",
        ],
    },
)
