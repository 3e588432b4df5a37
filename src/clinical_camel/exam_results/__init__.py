"""Answers to exam questions after step 03: comparisons and tables that several steps need.

answers      the columns that name an evaluation; clusters of questions; intervals
comparison   models, or variants of the questions, compared on the same questions
pages        tables and numbers for the page: few columns, percent
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "comparison": ["compare_models", "compare_variants"],
        "pages": ["format_comparison", "format_table", "hide_index"],
    },
)
