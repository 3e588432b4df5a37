"""Step 02: dialogues and a base model become an adapter, with loss on the assistant's words only.

    encoding      a mixture of datasets as rows of token ids, masked where no loss falls
    training      TRL's trainer on those rows
    parallel      the same training in several processes, and what is refused
    checkpoints   what a killed run goes on from, and what it must not
    stops         when a training must not go on, or its result not be used
    adapter       the trained adapter, written and looked at once more
    log           the loss as a table and a figure

The rows are tokenised and masked here, once, so that what is shown and counted is exactly what
TRL's SFTTrainer trains on.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "adapter": ["save_adapter"],
        "checkpoints": ["damage", "newest_whole", "publish"],
        "data_parallel": ["PARALLEL", "refuse_parallel"],
        "guards": ["TrainingError"],
        "log": ["plot_loss", "training_log"],
        "tokenization": [
            "Encoded",
            "encode_mixture",
            "encode_windows",
            "encode_within",
            "show_mask",
            "trained_tokens",
            "trained_turns",
            "unknown_words",
        ],
        "settings": ["LOSS_ON", "LR_SCHEDULERS", "OPTIMIZERS", "REPORT_TO", "SPEEDUPS", "Recipe"],
        "training": ["target_modules", "train"],
    },
)
