"""Step 03: few-shot exams, scored by the likelihood of each option or by a generated reply.

settings       which models answer which questions, and in which protocols
protocols      whose prompt, its layout, what is scored
replies        which option a written reply names
questions      loading, few-shot exemplars, variants
answering      every model answers every question, in batches, resumable
scores         scores, comparisons, subgroups
tables         the same for the page: few columns, percent
summary        the study's question and its answer in sentences
trainings      the texts, tokens and steps of each adapter's training
other_models   the same exams, answered by the models of other studies
above_chance   which scores exceed guessing, exam by exam, and which exams are halves
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
        "answering": [
            "answer_all",
            "answers_key",
            "find_alike",
            "group_by_prefix",
            "tokenize_options",
        ],
        "audit": ["compare_with_published", "split_mmlu_subjects"],
        "contamination": ["compute_clean_scores", "count_overlaps", "format_closest_pairs"],
        "figures": ["plot_calibration", "plot_protocols", "plot_published", "plot_scores"],
        "harness": ["export_results", "export_tasks"],
        "other_models": [
            "compare_studies",
            "describe_other_models",
            "format_other_models",
            "format_parameters",
        ],
        "protocols": ["PROTOCOLS", "Protocol", "build_prompt", "list_continuations"],
        "published": ["assess_published", "describe_findings", "match_item_sets"],
        "questions": [
            "choose_exemplars",
            "load_benchmark",
            "load_exam",
            "explain_variants",
            "make_variant",
            "reserve_exemplars",
        ],
        "replies": ["PARSERS", "PARSER_SOURCES", "parse_letter", "parse_medalpaca"],
        "scores": [
            "compare_models",
            "compare_variants",
            "compute_calibration",
            "compute_scores",
            "compute_subgroup_scores",
            "select_published",
        ],
        "settings": ["Design"],
        "summary": ["ask_question", "check_answers", "describe_results", "require_answers"],
        "trainings": ["describe_trainings", "read_trainings"],
        "tables": [
            "format_clean_scores",
            "format_comparison",
            "format_details",
            "format_failures",
            "format_headline",
            "format_paper",
            "format_scores",
            "format_table",
        ],
    },
)
