"""Step 03: few-shot exams, by the likelihood of each option or by a reply that is read.

protocols   how a question is laid out, what is scored, how a reply is read
answering   every model on every question, in batches, kept as the answers come
scores      tables and figures
harness     the same as tasks and results of lm-evaluation-harness
"""

from clinical_camel.eval_fewshot.answering import (
    SETTING,
    Design,
    answer_all,
    fingerprint,
    plan,
    read_reply,
    read_scores,
    take_exemplars,
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
    compare,
    failures,
    headline,
    plot_scores,
    published_rows,
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
    "build_prompt",
    "by_group",
    "choose_exemplars",
    "compare",
    "continuations",
    "export_tasks",
    "failures",
    "fingerprint",
    "headline",
    "plan",
    "plot_scores",
    "published_rows",
    "question_block",
    "read_letter",
    "read_medalpaca",
    "read_reply",
    "read_scores",
    "results_json",
    "score_table",
    "take_exemplars",
    "vary",
]
