"""Step 05: the training logs and exam scores of several studies, compared.

settings   which logs and scores
curves     tables and figures, drawn from the small tables of steps 02 and 03: no GPU needed
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "curves": ["at_fractions", "plot_curves", "stack_logs", "summarise"],
        "settings": ["COLUMNS", "SCORE_COLUMNS", "Curves"],
    },
)
