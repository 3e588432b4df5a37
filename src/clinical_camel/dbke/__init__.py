"""Step 01: articles and training questions become synthetic dialogues (DBKE).

In dialogue-based knowledge encoding a *teacher* rewrites a dense text as a conversation. Each reply
is recorded before it is parsed, then checked, and rejected with its reason if a check fails. So
accepted + rejected = requested, for every teacher.

    settings       the settings of the step
    plan           the procedure before the first request: texts, licences, teacher, requests
    licences       licence check: what may be rewritten, by whom, for which model
    requests       one request per dialogue; long articles are split at headings
    retrieval      passages that support an exam question
    synthesis      the synthesizer: prompts and checks for `teachers.RequestRunner`
    prompt         the complete prompt of a language model
    paraphrase     the task that rewords an article instead: rules, example, check
    replies        from the answer in a reply to a dialogue
    checks         checks of one dialogue
    filters        filters over all dialogues: near-duplicates, questions of evaluation sets
    forms          the accepted dialogues in other forms: articles, single questions, controls
    extractive     the rule-based teacher
    registry       loads the teacher of given settings
    trial          a small request, with which `doctor` tries an endpoint
    pipeline       many workers fill the ledger (datatrove; not imported here)
    side_by_side   a source and its dialogue side by side
    recording      the prompts for a writer outside this program
    readings       a second reader marks the sentences of dialogues
    planted        errors planted into a dialogue, to see the checks reject it
    tables         tables and figures of the notebook
    outcome        what came out: sentences for the notebook, and whether it is enough
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "extractive": ["ExtractiveTeacher"],
        "filters": ["filter_dialogues"],
        "forms": ["count_unmoved", "describe_form", "lay_out", "tabulate_forms"],
        "outcome": ["check_yield", "describe_dialogues", "describe_lost", "describe_similar"],
        "plan": ["Plan", "prepare"],
        "planted": ["tabulate_planted"],
        "prompt": ["build_messages", "format_prompt"],
        "readings": [
            "describe_readings",
            "load_readings",
            "tabulate_readings",
            "write_sheet",
        ],
        "recording": ["list_queries"],
        "registry": ["load_teacher"],
        "replies": ["parse_reply"],
        "requests": ["Request", "hash_requests", "plan_article_requests", "plan_requests"],
        "settings": ["FORMS", "SUPPORT", "Extractive", "Local", "OpenAI", "Replay", "Synthesis"],
        "side_by_side": ["render_rejected", "render_side_by_side"],
        "synthesis": ["RejectedReply", "Synthesizer", "synthesise"],
        "tables": [
            "Ledger",
            "excerpt",
            "plot_lengths",
            "render_table",
            "summarise",
            "tabulate_articles",
            "tabulate_cost",
            "tabulate_dialogues",
            "tabulate_reasons",
            "tabulate_support",
            "tabulate_withheld",
        ],
    },
)
