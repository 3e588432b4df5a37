"""Step 03: few-shot exams, scored by the likelihood of each option or by a generated reply.

settings       which models answer which questions, and in which protocols
protocols      prompt layouts, what is scored, how a reply is parsed
questions      loading, few-shot exemplars, variants
answering      every model answers every question, in batches, resumable
scores         tables of scores and comparisons
contamination  exam questions that occur in training data
published      the published numbers alone: which items can they come from
audit          each published number compared with ours: a verdict and its reason
figures        scores by protocol, calibration, published accuracies
harness        tasks and results in the formats of lm-evaluation-harness
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "answering": ["answer_all", "answers_key", "group_by_prefix", "tokenize_options"],
        "audit": ["compare_with_published", "split_mmlu_subjects"],
        "contamination": ["compute_clean_scores", "count_overlaps", "format_closest_pairs"],
        "figures": ["plot_calibration", "plot_protocols", "plot_published", "plot_scores"],
        "harness": ["export_results", "export_tasks"],
        "protocols": ["PROTOCOLS", "Protocol", "build_prompt", "list_continuations"],
        "published": ["assess_published", "match_item_sets"],
        "questions": [
            "choose_exemplars",
            "load_benchmark",
            "load_exam",
            "make_variant",
            "reserve_exemplars",
        ],
        "scores": [
            "compare_models",
            "compute_calibration",
            "compute_scores",
            "compute_subgroup_scores",
            "format_failures",
            "format_headline",
            "format_table",
            "select_published",
        ],
        "settings": ["Design"],
    },
)
