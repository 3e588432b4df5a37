"""Step 05: training logs and exam scores of several studies, compared. No GPU needed.

settings   which logs and scores
curves     tables and figures
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curves": ["plot_curves", "stack_logs", "summarize_studies", "tabulate_losses"],
        "settings": ["Curves"],
    },
)
