"""Step 03: few-shot exams, scored by the likelihood of each option or by a generated reply.

settings       which models answer which questions, and in which protocols
protocols      whose prompt, its layout, what is scored
replies        which option a written reply names
exact_match    whether a free answer is the correct one
parsers        the parser of each protocol
reply_scores   free answers in detail; format compliance
open_book      the article on a question's condition, before the question
questions      loading, few-shot exemplars, variants
answering      every model answers every question, in batches, resumable
scores         accuracy with interval and chance
tables         the same for the page: few columns, percent
missing_answers  how many questions have no answer, and whether the scores are a result
summary        the study's question and its answer in sentences
trainings      the texts, tokens and steps of each adapter's training
other_models   the same exams, answered by the models of other studies
above_chance   which scores exceed guessing, exam by exam, and which exams are halves
figures        the scores of all models; one model by protocol
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
        "figures": ["plot_protocols", "plot_scores"],
        "harness": ["export_results", "export_tasks"],
        "other_models": ["compare_studies", "describe_other_models", "format_other_models"],
        "open_book": ["read_book"],
        "protocols": [
            "PROTOCOLS",
            "Protocol",
            "build_prompt",
            "format_prompts",
            "list_continuations",
            "list_protocols",
        ],
        "questions": [
            "choose_exemplars",
            "load_benchmark",
            "load_exam",
            "explain_variants",
            "make_variant",
            "reserve_exemplars",
        ],
        "replies": ["parse_letter", "parse_medalpaca"],
        "reply_scores": [
            "compute_compliance",
            "compute_free_scores",
            "format_compliance",
            "format_free_scores",
        ],
        "scores": [
            "compute_scores",
        ],
        "settings": ["Design"],
        "missing_answers": ["check_answers", "require_answers"],
        "summary": ["ask_question", "describe_results"],
        "trainings": ["describe_trainings", "read_trainings"],
        "tables": [
            "format_details",
            "format_failures",
            "format_headline",
            "format_scores",
        ],
    },
)
