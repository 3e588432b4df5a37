"""Step 08: measure free replies of models in consultations, diagnoses and knowledge questions.

    settings          the settings of the step
    cases             conversations up to a user turn, with their reference replies
    inputs            the cases and all files of a user, read before a model is loaded
    parts             did a model train on a case, or on its subject?
    writing           replies of models, baselines, status of a reply
    statuses          complete replies, equal replies to different prompts
    other_systems     replies of other systems, from files
    typical           the baseline that reads no question
    segmentation      words of a text, by its script
    overlap           BLEU-1 to 4, ROUGE-1, 2, L, GLEU; intervals over groups, paired comparison
    corpus_overlap    BLEU and GLEU of all replies together; intervals over groups
    icd               ICD-10-CM codes and their groups
    diagnoses         which diagnosis a reply names; accuracy by ICD group
    win_rate          two answers compared: verdicts, win rates
    judging           the judge of a run, with its ledger
    preference_sheet  people choose the better of two answers; agreement with the judge
    wording           numbers, datasets and differences as text
    tables            tables for reading
    figures           figures with intervals
    summary           what the step showed, in sentences

Unusual inputs and their handling, each with a test:

    a conversation beyond the context   its oldest exchanges are dropped and counted; "too long" if
                                        the last user turn alone does not fit, which scores 0
    an empty or looping reply           scored as it is, and counted
    one reply to many prompts           counted, and stated in the summary
    Chinese                             split by jieba or into characters, as a setting says
    another script                      words between white space
    a reference without a diagnosis     an error with the dataset, the id and the remedy
    a visit in which no doctor speaks   an error with the dataset, the id and the speakers
    a visit without a doctor's reply    a warning with the count
    equal or empty answers              decided without the judge, and counted
    formulas in a reply                 an apostrophe in the sheet for people
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "settings": ["EvalReplies"],
        "cases": ["Case"],
        "corpus_overlap": ["score_corpora"],
        "diagnoses": [
            "compare_diagnoses",
            "score_diagnoses",
            "summarise_diagnoses",
        ],
        "figures": [
            "plot_diagnoses",
            "plot_outcomes",
            "plot_overlap",
            "plot_wins",
        ],
        "icd": ["find_code", "find_group", "read_diagnoses"],
        "inputs": ["load_cases"],
        "judging": ["judge_pairs", "require_verdicts"],
        "overlap": [
            "compare_overlap",
            "compare_typical",
            "describe_metrics",
            "score_replies",
            "score_reply",
            "summarise_overlap",
        ],
        "preference_sheet": [
            "load_preferences",
            "make_preference_sheet",
            "measure_agreement",
            "read_preferences",
        ],
        "statuses": ["count_statuses"],
        "tables": [
            "format_comparison",
            "format_diagnoses",
            "format_diagnosis_comparison",
            "format_overlap",
            "format_statuses",
            "format_wins",
        ],
        "summary": ["describe_results", "format_headline"],
        "win_rate": [
            "compare_pairs",
            "count_positions",
            "list_comparisons",
            "make_pairs",
            "summarise_wins",
        ],
        "writing": [
            "list_examples",
            "load_other_replies",
            "make_journal_key",
            "tabulate_cases",
            "write_baselines",
            "write_replies",
        ],
    },
)
