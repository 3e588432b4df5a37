"""Every dataset of the study, read into one of four row shapes.

    Article       id, title, sections [Section(heading, text)], licence, group
    Dialogue      id, source, messages [{"role": system | user | assistant, "content": text}]
    Question      id, question, options [text], answer (index), context, subset, group,
                  image_suspected
    Consultation  id, turns [Turn(speaker, text)], note ("" for none), group

A dataset is named by one string, its *spec*, the same in every params file:

    mini_exam                                     a registered name: shipped, or on the hub
    medqa_us@data/public/medqa_us/x.jsonl         the reader of that name on a local file
    my/questions.jsonl                            a local file in our own row shape

A training file may mix dialogues and articles: a row with `sections` is an article.

Paths are relative to the project root. Training and evaluation data have different functions:
`load_dialogues` and `load_training_questions` reject evaluation sets and rows of a test split.

A file is read completely or not at all: one `DataError` lists every problem by line. The texts of a
user's own file are cleaned, those of a published set stay as published (see `texts`).

    specs           dataset specs as types for settings
    loading         rows of a spec; checks of what a spec may be used for
    registry        the registered names and their sources
    source          what a registered dataset is
    converting      a raw row becomes a checked, clean row
    readers         exams and articles, one reader per published schema
    conversations   training conversations: ShareGPT, Alpaca
    triples         triples of a knowledge graph as questions with answers
    medical_qa      cMedQA2 and MedDialog
    consultations   consultations, one reader per published schema; a user's transcripts
    transcripts     turns of a transcript: lines, WebVTT, SRT
    answers         answer letters; files whose answers count from 1
    texts           what a text must not hold
    markup          entities and tags in a text
    fields          typed fields of a raw row; no field that nobody knows
    shapes          the row shapes and their rules
    files           files read completely or not at all
    json_lines      strict JSON
    tables          tables in CSV or TSV
    containers      other containers: Parquet, JSON by id; what is refused
    sampling        reproducible subsets of rows
    grouping        conversations that state the same facts
    contamination   exam questions in training data
    exposures       how often training rows state the fact of an exam question
    published       published scores of other systems
    exam_scores     the table of scores of step 03
    attribution     who made the texts that a notebook quotes, and their licences
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attribution": ["format_attributions", "list_attributions"],
        "contamination": ["find_overlaps", "search_sources"],
        "exam_scores": ["SCORE_COLUMNS", "read_scores"],
        "exposures": ["count_exposures"],
        "loading": [
            "check_spec",
            "describe",
            "label",
            "list_datasets",
            "load_articles",
            "load_consultations",
            "load_conversations",
            "load_dialogues",
            "load_questions",
            "load_sources",
            "load_training_consultations",
            "load_training_questions",
            "load_training_rows",
        ],
        "published": ["list_published_systems", "load_published"],
        "registry": ["is_shipped"],
        "sampling": ["sample"],
        "shapes": [
            "Article",
            "Consultation",
            "DataError",
            "Dialogue",
            "IMAGE_QUESTIONS",
            "Message",
            "Question",
            "Section",
            "Turn",
            "content_hash",
            "format_article",
            "format_question",
            "format_row",
            "from_dict",
            "require_dialogues",
            "to_dict",
        ],
    },
)
