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

from clinical_camel.sft_qlora.adapter import save_adapter
from clinical_camel.sft_qlora.checkpoints import damage, newest_whole, publish
from clinical_camel.sft_qlora.encoding import (
    LOSS_ON,
    Encoded,
    encode_mixture,
    encode_windows,
    encode_within,
    show_mask,
    trained_tokens,
    trained_turns,
    unknown_words,
)
from clinical_camel.sft_qlora.log import plot_loss, training_log
from clinical_camel.sft_qlora.parallel import PARALLEL, refuse_parallel
from clinical_camel.sft_qlora.stops import TrainingError
from clinical_camel.sft_qlora.training import (
    LR_SCHEDULERS,
    OPTIMIZERS,
    REPORT_TO,
    target_modules,
    train,
)

__all__ = [
    "LOSS_ON",
    "LR_SCHEDULERS",
    "OPTIMIZERS",
    "REPORT_TO",
    "PARALLEL",
    "Encoded",
    "TrainingError",
    "damage",
    "encode_mixture",
    "encode_windows",
    "encode_within",
    "newest_whole",
    "plot_loss",
    "publish",
    "refuse_parallel",
    "save_adapter",
    "show_mask",
    "target_modules",
    "train",
    "trained_tokens",
    "trained_turns",
    "training_log",
    "unknown_words",
]
