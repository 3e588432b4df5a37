"""Step 03: few-shot exams, scored by the likelihood of each option.

protocols   how a question is laid out and what is scored
answering   every model on every question, in batches, kept as the answers come
scores      tables and figures
"""

from clinical_camel.eval_fewshot.answering import (
    answer_all,
    fingerprint,
    plan,
    read_answer,
    score_questions,
)
from clinical_camel.eval_fewshot.protocols import (
    PROTOCOLS,
    Protocol,
    build_prompt,
    continuations,
    question_block,
)
from clinical_camel.eval_fewshot.scores import (
    compare,
    failures,
    headline,
    plot_scores,
    published_rows,
    score_table,
)

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "answer_all",
    "build_prompt",
    "compare",
    "continuations",
    "failures",
    "fingerprint",
    "headline",
    "plan",
    "plot_scores",
    "published_rows",
    "question_block",
    "read_answer",
    "score_questions",
    "score_table",
]
