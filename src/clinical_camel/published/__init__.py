"""Step 10: published numbers and recipes of other systems, beside ours. No model is needed.

settings   which systems, which of our studies, whose recipes
item_sets  the published numbers alone: which questions can they come from?
ours       our scores of the studies that reproduce a system
plans      what a study that has not run would take
audit      each published number compared with ours: a verdict and its reason
paper      the published tables beside our scores
cases      the exercise: three percentages that do not fit
recipes    the training recipes of all systems, with the origin of each value
figures    published accuracies with their intervals
summary    what was seen, in sentences
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "audit": ["compare_with_published"],
        "cases": ["count_fitting", "grade_cases", "show_nearest"],
        "figures": ["plot_published"],
        "item_sets": ["assess_published", "describe_findings", "match_item_sets"],
        "ours": ["describe_runs", "read_runs"],
        "paper": ["format_others", "format_paper"],
        "plans": ["read_plans"],
        "recipes": ["describe_marks", "format_recipes", "tabulate_recipes"],
        "settings": ["Published"],
        "summary": ["describe_published", "format_headline"],
    },
)
