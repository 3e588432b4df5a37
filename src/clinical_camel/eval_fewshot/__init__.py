"""Step 03: few-shot exams, by the likelihood of each option or by a reply that is read.

protocols   how a question is laid out, what is scored, how a reply is read
answering   every model on every question, in batches, kept as the answers come
scores      tables and figures
claims      what the published numbers say by themselves
audit       each published number beside ours, with a verdict and its reason
contamination   which questions stand in what a model was trained on: the tables
harness     the same as tasks and results of lm-evaluation-harness
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["Design"],
        "answering": [
            "SETTING",
            "answer_all",
            "fingerprint",
            "pairs_of",
            "plan",
            "read_reply",
            "read_scores",
            "sharing",
            "take_exemplars",
        ],
        "audit": ["audit", "by_subject", "comparable", "plot_protocols"],
        "claims": [
            "audit_published",
            "chance_of_fit",
            "fitting_counts",
            "item_sets",
            "plot_published",
        ],
        "contamination": ["clean_scores", "closest", "overlap_counts"],
        "harness": ["export_tasks", "results_json"],
        "protocols": [
            "EXEMPLAR_CHOICES",
            "PROTOCOLS",
            "Protocol",
            "VARIANTS",
            "build_prompt",
            "choose_exemplars",
            "continuations",
            "question_block",
            "read_letter",
            "read_medalpaca",
            "vary",
        ],
        "scores": [
            "by_group",
            "calibration_table",
            "compare",
            "failures",
            "headline",
            "plot_calibration",
            "plot_scores",
            "published_rows",
            "readable",
            "score_table",
        ],
    },
)
