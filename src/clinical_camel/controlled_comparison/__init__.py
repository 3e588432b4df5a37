"""Step 06: the runs of a sweep compared, contrast by contrast, with a verdict on each.

settings     arms, contrasts, outcomes, and what counts as an effect
reading      the runs of a sweep as tables
trainings    what the runs were trained on, and how
overlaps     exam questions that resemble training texts
exposures    how often each fact occurred in the training
contrasts    differences of arms, and the verdicts
mixed_model  the sign of the same contrasts by a logistic mixed model
equality     what else differs between the trainings of the arms
scaling      accuracy against the amount of text or the size of the base model
tables       tables for the page
figures      figures
drawing      the design in one drawing
summary      what was seen, in sentences
scope        what could mislead, and what it does not show
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contrasts": [
            "compare_all",
            "compare_further",
            "compare_seeds",
            "compare_subgroups",
            "score_arms",
        ],
        "drawing": ["plot_design"],
        "equality": [
            "describe_equality",
            "describe_formats",
            "format_equality",
            "tabulate_equality",
        ],
        "exposures": ["correlate_recall", "count_exposures", "summarize_recall"],
        "figures": [
            "plot_contrasts",
            "plot_exposures",
            "plot_forgetting",
            "plot_scaling",
            "plot_scores",
            "plot_specialties",
        ],
        "mixed_model": ["fit_contrasts"],
        "overlaps": ["find_overlaps"],
        "reading": [
            "SweepRun",
            "list_excluded",
            "load_specialties",
            "read_answers",
            "read_rates",
            "require_rates",
            "require_runs",
            "tabulate_runs",
            "warn_missing",
        ],
        "scaling": ["fit_curves", "list_points"],
        "scope": ["describe_scope", "describe_threats"],
        "settings": ["Comparison", "split_contrast"],
        "summary": [
            "describe_exclusions",
            "describe_results",
            "describe_runs",
            "format_headline",
        ],
        "tables": [
            "format_contrasts",
            "format_fits",
            "format_further",
            "format_outcomes",
            "format_rates",
            "format_seeds",
            "hide_index",
        ],
        "trainings": [
            "list_recipe_differences",
            "list_teachers",
            "read_trainings",
            "select_trained",
        ],
    },
)
