"""Step 04: a consultation becomes a sectioned clinical note, scored in a way one can argue with.

    structure     the sections of a note, and outputs that are no notes
    prompts       the transcript as text, the prompts as data, the one-shot example
    fitting       a transcript and the context of a model
    writing       prompts to raw outputs to notes
    baselines     notes that need no model
    scores        ROUGE, BLEU, chrF; intervals over encounters, paired comparison
    faithfulness  what of a note is supported, and what of the visit is kept
    planted       the exercise: an error in a reference note, to be found
    sheet         two people rate the notes; how far they agree
    phi           a screen for what may identify a person
    figures       figures with intervals, a transcript beside its notes

The note format is plain text: each section is its heading on a line of its own, closed by a colon,
then its text; sections are parted by an empty line.

What becomes of an input that is none, each with a test:

    no turn, an empty turn, broken JSON   refused when read, with file, line and key
    200,000 characters                    "too long", or shortened with the turns counted, or read
                                          in windows that hold every word; never cut in silence
    HTML, JavaScript, formulas            text in the prompt; escaped on the page, an apostrophe in
                                          the sheet; nothing is live
    control characters                    NUL is refused when read, others become a space
    the model's special tokens            written apart: they end no turn
    an order to the model                 stays text in the user's turn; no prompt keeps a model
                                          from obeying it, and the note has to be read
    another script                        asked as any; ROUGE is missing, BLEU and chrF are not
    another language in Latin letters     not noticed: asked and scored as any
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["NoteTask"],
        "baselines": ["baseline_notes", "lead_copy", "majority_notes"],
        "faithfulness": [
            "check_notes",
            "flagged",
            "marks",
            "show_check",
            "summarise_check",
            "worst_omissions",
            "worst_sentences",
        ],
        "figures": [
            "plot_check",
            "plot_decodings",
            "plot_parts",
            "plot_scores",
            "plot_statuses",
            "read_worst",
            "side_by_side",
        ],
        "fitting": ["fit"],
        "phi": ["screen", "screen_texts", "summarise_screen"],
        "planted": ["check_planted", "plant_error"],
        "prompts": [
            "PROMPTS",
            "Request",
            "SECTIONS",
            "build_messages",
            "choose_example",
            "corpus_name",
            "load_visits",
            "plan",
            "transcript",
        ],
        "rating_sheet": ["RATINGS", "agreement", "rating_sheet"],
        "scores": [
            "METRICS",
            "by_decoding",
            "compare",
            "count_statuses",
            "missing_sections",
            "score",
            "score_notes",
            "signatures",
            "summarise",
        ],
        "structure": ["DIVISIONS", "STATUSES", "parse_note", "status"],
        "writing": ["DECODINGS", "Decoding", "assemble", "write_notes"],
    },
)
