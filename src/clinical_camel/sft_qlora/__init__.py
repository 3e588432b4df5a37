"""Step 02: tune a base model on dialogues with QLoRA, with loss on the assistant's tokens only.

    settings        the recipe: the settings of the step, no torch
    fitting         whether a recipe fits its base and its data
    tokenization    a mixture of datasets as rows of token ids, with the loss mask
    training        TRL's trainer on those rows
    token_weights   the weight of each token in the loss
    speedups        faster steps with the same loss and gradients
    data_parallel   the same training in several processes, and which launches are rejected
    checkpoints     what an interrupted training resumes from
    interruption    checkpoints by time, and after SIGTERM
    guards          when a training stops, and when its result is rejected
    adapter         the trained adapter, saved and verified
    log             the loss as a table and a figure
    summary         the result in sentences

Rows are tokenized and masked here, once: what a notebook shows and counts is what TRL trains on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapter": ["save_adapter"],
        "data_parallel": ["require_supported_launch"],
        "fitting": ["check_targets", "count_steps", "require_fitting_recipe", "require_schedule"],
        "guards": ["TrainingError"],
        "log": ["plot_loss"],
        "settings": ["OPTIMIZERS", "Recipe"],
        "summary": ["describe_training", "format_headline"],
        "tokenization": [
            "count_target_turns",
            "find_shown",
            "show_loss_mask",
            "tokenize_mixture",
            "tokenize_to_fit",
        ],
        "training": ["target_modules", "train"],
    },
)
