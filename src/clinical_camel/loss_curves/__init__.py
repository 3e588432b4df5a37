"""Step 05: training logs and exam scores of several studies, compared. No GPU needed.

settings   which logs and scores
logs       training logs of this project and of others, in one form
curves     stacked logs, the table and the figure of the losses
pairing    each score with the loss of its own training
summary    what was seen, in sentences
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curves": [
            "format_headline",
            "format_losses",
            "plot_curves",
            "stack_logs",
            "tabulate_losses",
        ],
        "logs": ["read_log"],
        "pairing": [
            "pair_scores",
            "read_adapters",
            "read_base",
            "read_epochs",
            "tabulate_scores",
        ],
        "settings": ["Curves"],
        "summary": ["describe_curves", "describe_scores_shown"],
    },
)
