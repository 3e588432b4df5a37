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

from clinical_camel.dbke.checks import (
    SUPPORT,
    brief,
    check_dialogue,
    completion,
    completion_text,
    read_reply,
)
from clinical_camel.dbke.extractive import (
    ASKS,
    WITHOUT_HEADING,
    ExtractiveTeacher,
    answer_units,
    ask,
    told_in_turn,
)
from clinical_camel.dbke.ledger import Ledger, Spent
from clinical_camel.dbke.licences import TERMS, check_terms, licensed
from clinical_camel.dbke.prompt import build_messages, shown
from clinical_camel.dbke.reading import beside
from clinical_camel.dbke.requests import (
    Request,
    about,
    fingerprint,
    pieces,
    plan_requests,
)
from clinical_camel.dbke.retrieval import PASSAGE_WORDS, passages_for, support
from clinical_camel.dbke.tables import (
    cost_table,
    dialogue_table,
    excerpt,
    plot_lengths,
    reason_table,
    source_table,
    summarise,
    support_table,
)
from clinical_camel.dbke.teachers import (
    LANGUAGE_MODELS,
    TEACHERS,
    Settings,
    load_teacher,
    prompt_room,
    room,
    settings_of,
)
from clinical_camel.dbke.teaching import Ask, Desk, Teacher, Verdict, synthesise, verdicts
from clinical_camel.dbke.weeding import weed

__all__ = [
    "ASKS",
    "PASSAGE_WORDS",
    "Ask",
    "Desk",
    "ExtractiveTeacher",
    "LANGUAGE_MODELS",
    "Ledger",
    "Request",
    "SUPPORT",
    "Settings",
    "Spent",
    "TEACHERS",
    "TERMS",
    "Teacher",
    "Verdict",
    "WITHOUT_HEADING",
    "about",
    "answer_units",
    "ask",
    "beside",
    "brief",
    "build_messages",
    "check_dialogue",
    "check_terms",
    "completion",
    "completion_text",
    "cost_table",
    "dialogue_table",
    "excerpt",
    "fingerprint",
    "licensed",
    "load_teacher",
    "passages_for",
    "pieces",
    "plan_requests",
    "plot_lengths",
    "read_reply",
    "prompt_room",
    "reason_table",
    "room",
    "settings_of",
    "shown",
    "source_table",
    "summarise",
    "support",
    "support_table",
    "synthesise",
    "told_in_turn",
    "verdicts",
    "weed",
]
