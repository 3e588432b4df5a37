"""Step 01: articles and training questions become synthetic dialogues (DBKE).

Dialogue-based knowledge encoding has a *teacher* rewrite a dense text as a conversation. The reply
is kept before it is parsed, checked afterwards, and set aside with its reason if a check fails. So
accepted + set aside = requested, whoever the teacher is.

    requests     what is asked for: one request a dialogue, long articles cut at headings
    retrieval    which passages stand behind an exam question
    teaching     one request to one verdict: ask, keep, read, check, ask again with the reason
    prompt       what a language model is told, in full
    screen       what hides in an article, or comes back in a reply
    checks       from a raw reply to a dialogue, or to the reason why there is none
    weeding      what shows only among all dialogues: near-duplicates, questions of exams
    limits       what may leave for an endpoint, and when
    ledger       every attempt and every body, append-only
    licences     what may be rewritten, by whom, for whose model
    shards       one ledger per worker, taken in by the study's
    pipeline     many workers fill the ledger (datatrove; not imported here)
    extractive, local, endpoint, teachers     who writes
    reading      a source beside its dialogue, for a reader
    tables       what the notebook shows
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["Synthesis"],
        "checks": [
            "SUPPORT",
            "brief",
            "check_dialogue",
            "completion",
            "completion_text",
            "read_reply",
        ],
        "filters": ["weed"],
        "licences": ["TERMS", "check_terms", "licensed"],
        "prompt": ["build_messages", "shown"],
        "requests": ["Request", "about", "fingerprint", "pieces", "plan_requests"],
        "retrieval": ["PASSAGE_WORDS", "passages_for", "support"],
        "side_by_side": ["beside"],
        "synthesis": ["Ask", "Desk", "Teacher", "Verdict", "synthesise", "verdicts"],
        "tables": [
            "cost_table",
            "dialogue_table",
            "excerpt",
            "plot_lengths",
            "reason_table",
            "source_table",
            "summarise",
            "support_table",
        ],
        "teachers.cache": ["Ledger", "Spent"],
        "teachers.extractive": [
            "ASKS",
            "ExtractiveTeacher",
            "WITHOUT_HEADING",
            "answer_units",
            "ask",
            "told_in_turn",
        ],
        "teachers.registry": [
            "LANGUAGE_MODELS",
            "Settings",
            "TEACHERS",
            "load_teacher",
            "prompt_room",
            "room",
            "settings_of",
        ],
    },
)
