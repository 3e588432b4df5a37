"""Step 03: few-shot exams, by the likelihood of each option or by a reply that is read.

protocols   how a question is laid out, what is scored, how a reply is read
answering   every model on every question, in batches, kept as the answers come
scores      tables and figures
claims      what the published numbers say by themselves
audit       each published number beside ours, with a verdict and its reason
contamination   which questions stand in what a model was trained on: the tables
harness     the same as tasks and results of lm-evaluation-harness
"""

from clinical_camel.data import search_sources
from clinical_camel.eval_fewshot.answering import (
    SETTING,
    Design,
    answer_all,
    fingerprint,
    pairs_of,
    plan,
    read_reply,
    read_scores,
    sharing,
    take_exemplars,
)
from clinical_camel.eval_fewshot.audit import audit, by_subject, comparable, plot_protocols
from clinical_camel.eval_fewshot.claims import (
    audit_published,
    chance_of_fit,
    fitting_counts,
    item_sets,
    plot_published,
)
from clinical_camel.eval_fewshot.contamination import (
    clean_scores,
    closest,
    overlap_counts,
)
from clinical_camel.eval_fewshot.harness import export_tasks, results_json
from clinical_camel.eval_fewshot.protocols import (
    EXEMPLAR_CHOICES,
    PROTOCOLS,
    VARIANTS,
    Protocol,
    build_prompt,
    choose_exemplars,
    continuations,
    question_block,
    read_letter,
    read_medalpaca,
    vary,
)
from clinical_camel.eval_fewshot.scores import (
    by_group,
    calibration_table,
    compare,
    failures,
    headline,
    plot_calibration,
    plot_scores,
    published_rows,
    readable,
    score_table,
)

__all__ = [
    "EXEMPLAR_CHOICES",
    "PROTOCOLS",
    "SETTING",
    "VARIANTS",
    "Design",
    "Protocol",
    "answer_all",
    "audit",
    "audit_published",
    "build_prompt",
    "by_group",
    "by_subject",
    "calibration_table",
    "chance_of_fit",
    "choose_exemplars",
    "clean_scores",
    "closest",
    "comparable",
    "compare",
    "continuations",
    "export_tasks",
    "failures",
    "fingerprint",
    "fitting_counts",
    "headline",
    "item_sets",
    "overlap_counts",
    "pairs_of",
    "plan",
    "plot_calibration",
    "plot_protocols",
    "plot_published",
    "plot_scores",
    "published_rows",
    "question_block",
    "read_letter",
    "read_medalpaca",
    "read_reply",
    "read_scores",
    "readable",
    "results_json",
    "score_table",
    "search_sources",
    "sharing",
    "take_exemplars",
    "vary",
]
