"""Step 04: write sectioned clinical notes of consultations and measure their quality.

    settings      the settings of the step, named sampling settings
    corpora       consultations of each corpus, one-shot exemplars
    prompts       the wording, and the transcript as text
    structure     the sections of a note, the status of an output
    plain_text    a note out of JSON, HTML, tables, Markdown, code fences
    fitting       a transcript and the context of a model
    writing       prompts, raw outputs, notes
    server        the same by a vLLM server on this machine
    baselines     notes without a model
    scores        ROUGE, BLEU, chrF; intervals over encounters, paired comparison
    faithfulness  hallucinations and omissions
    essentials    are diagnosis, medications and allergies in the note?
    summary       what the step showed, in sentences
    inventions    names of drugs, diagnoses and findings to invent
    edits         functions that change a sentence
    planting      the kinds of errors that can be planted
    check_quality how good the check is on planted errors
    planted       exercise: find the error in a reference note
    wrong_ticks   exercise: find the false sentences that the check supports
    exercise_answers  which sentence of a note an answer is
    word_lists    read the lists of words of this package
    rating_sheet  two people rate the notes; their agreement
    phi           find identifiers of persons in texts
    figures       figures with intervals
    side_by_side  HTML: a transcript next to its notes

Unusual inputs and their handling, each with a test:

    no turn, an empty turn, broken JSON   rejected when read, with file, line and key
    200,000 characters                    "too long", truncated with the turns counted, or read in
                                          windows that contain every word
    HTML, JavaScript, formulas            plain text in the prompt; escaped on the page and in the
                                          rating sheet
    control characters                    NUL is rejected when read, others become a space
    the model's control tokens            get a space: they cannot end a turn
    instructions to the model             stay text in the user turn; the model may still follow
                                          them, so read the note
    another script                        processed as usual; only ROUGE is missing
    another language in Latin letters     not detected: processed and scored as usual
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["DECODINGS", "NoteTask"],
        "baselines": ["write_baselines"],
        "check_quality": ["describe_check", "format_check_quality", "load_check_quality"],
        "corpora": ["choose_exemplar", "load_corpora", "load_exemplars", "name_corpus"],
        "essentials": ["count_essentials", "format_essentials"],
        "faithfulness": [
            "annotate_notes",
            "compare_support",
            "format_faithfulness",
            "list_flagged",
            "measure_faithfulness",
            "rank_hallucinations",
            "rank_omissions",
            "summarise_faithfulness",
        ],
        "figures": [
            "plot_decodings",
            "plot_faithfulness",
            "plot_parts",
            "plot_scores",
            "plot_statuses",
        ],
        "phi": ["count_identifiers"],
        "planted": ["grade_answer", "load_exercise_visits", "plant_error"],
        "prompts": ["PROMPTS", "SECTIONS", "build_messages", "format_transcript"],
        "rating_sheet": ["make_rating_sheet", "measure_agreement"],
        "scores": [
            "compare_models",
            "count_missing_sections",
            "count_statuses",
            "describe_metrics",
            "format_scores",
            "require_notes",
            "score_decodings",
            "score_notes",
            "summarise_scores",
        ],
        "server": ["list_models"],
        "side_by_side": ["render_side_by_side", "render_worst"],
        "structure": ["STATUSES", "parse_note"],
        "summary": ["describe_results", "format_headline"],
        "wrong_ticks": ["grade_wrong_ticks", "show_wrong_ticks"],
        "writing": ["load_llms", "make_journal_key", "write_notes"],
    },
)
