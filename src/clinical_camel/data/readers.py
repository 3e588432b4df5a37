"""Readers of exams and articles, one per published schema: raw rows become questions and articles.

A reader accepts the schema of the hub and that of the files in data/public. It raises ValueError
for a required field that is missing or mistyped. It never reads fields that leak the answer: `exp`
of MedMCQA often starts with the answer letter, and `long_answer` of PubMedQA is the conclusion that
the question asks for. It returns `None` for a row that the source marks as empty.
"""

import csv
import dataclasses
import functools
import re
from pathlib import Path, PurePosixPath

from clinical_camel.data.answers import list_options, read_letter
from clinical_camel.data.fields import (
    Raw,
    get_number,
    get_optional_text,
    get_text,
    get_texts,
    get_value,
    hash_text,
    reads_fields,
)
from clinical_camel.data.shapes import Article, Dialogue, Message, Question, Section

LETTERS = "ABCDEFGHIJ"
EXAM = "question options answer"
EXAM_UNUSED = "subset image_suspected answer_text subject subject_name year"
MEDQA = f"{EXAM} answer_idx meta_info"
MEDQA_UNUSED = f"{EXAM_UNUSED} metamap_phrases context_sentences final_question"
PUBMEDQA = f"{EXAM} context pubid final_decision"
PUBMEDQA_UNUSED = (
    f"{EXAM_UNUSED} long_answer meshes reasoning_required_pred reasoning_free_pred "
    "in_450_train_fold"
)
MEDQUAD_UNUSED = (
    "qid source semantic_group qtype category umls_cui umls_semantic_types umls_semantic_group "
    "synonyms question_id question_type"
)
PLOS_UNUSED = "article_type authors year journal licence_statement copyright words"

# Questions that refer to an image, which no text dataset has; used for rows without a mark of their
# source. On 1,910 rows of MedQA it marks 165, including 160 of the 162 marked by others.
_IMAGE = re.compile(
    r"\b(?:is|are) (?:\w+ )?(?:shown|depicted|pictured|provided below)(?! (?:to|that|by)\b)"
    r"|\bshown (?:below|here|above|in the (?:picture|image|figure|photograph))|\bas shown\b"
    r"|\b(?:the|following) exhibit\b|\bfollowing (?:image|photograph|figure|picture)\b"
    r"|\b(?:image|photograph|figure|picture|graph|exhibit) (?:below|above|shown|[A-F1-9]\b)"
    r"|\bsee (?:the )?(?:image|figure|exhibit|photograph|picture)\b|如图|图示|见图|下图|图中",
    re.IGNORECASE,
)
# The label of a section in our files of PubMedQA, at the start of a line.
_SECTION_LABEL = re.compile(r"^[A-Z][^a-z:\n]*: ", re.MULTILINE)


@reads_fields(MEDQA, unused=MEDQA_UNUSED)
def read_medqa(row: Raw) -> Question:
    """MedQA: the answer letter is `answer_idx` as published and `answer` in our files.

    `subset` is `meta_info`: the step of the USMLE.
    """
    letter = get_text(row, "answer_idx" if "answer_idx" in row else "answer")
    return _lettered(row, letter, subset=get_optional_text(row, "meta_info"))


@reads_fields(MEDQA, unused=MEDQA_UNUSED)
def read_mcmle(row: Raw) -> Question:
    """MEDQA-MCMLE, as MedQA. `subset`: `meta_info`, else our category (`read_mcmle_categories`)."""
    question = read_medqa(row)
    category = question.subset or read_mcmle_categories().get(hash_text(question.question), "")
    return dataclasses.replace(question, subset=category)


@functools.cache
def read_mcmle_categories() -> dict[str, str]:
    """Return the categories that a large language model gave to 1,693 questions, by `hash_text`."""
    with Path(__file__).with_name("mcmle_categories.csv").open(encoding="utf-8") as stream:
        return {row["question"]: row["category"] for row in csv.DictReader(stream)}


@reads_fields(MEDQA, unused=MEDQA_UNUSED)
def read_medqa_dialogue(row: Raw, source: str) -> Dialogue:
    """A training question of MedQA as a dialogue: the options by letter; the reply is the correct.

    ClinicalGPT trained on such questions; how it wrote question and reply is not published.
    """
    question = read_medqa(row)
    options = [f"{letter}. {text}" for letter, text in zip(LETTERS, question.options, strict=False)]
    messages: list[Message] = [
        {"role": "user", "content": "\n".join([question.question, *options])},
        {"role": "assistant", "content": options[question.answer]},
    ]
    return Dialogue(id=question.id, source=source, messages=messages)


@reads_fields(
    f"{EXAM} opa opb opc opd cop subject_name", unused=f"{EXAM_UNUSED} choice_type topic_name exp"
)
def read_medmcqa(row: Raw) -> Question:
    """MedMCQA: hub (opa .. opd; `cop` counts from 0, -1 if hidden) or a file; never `exp`."""
    subset = get_optional_text(row, "subject_name")
    if "opa" not in row:
        return _lettered(row, get_text(row, "answer"), subset=subset)
    options = [get_text(row, name) for name in ("opa", "opb", "opc", "opd")]
    return _question(row, options, _read_number(row, "cop"), subset=subset)


@reads_fields(
    f"{EXAM} choices subject", unused=f"{EXAM_UNUSED} cot_target verified_against_flan_cot"
)
def read_mmlu(row: Raw) -> Question:
    """MMLU: hub cais/mmlu (`choices`, `answer` as an index) or a file; `subset` is the subject."""
    subject = get_text(row, "subject")
    if "choices" not in row:
        return _lettered(row, get_text(row, "answer"), subset=subject)
    answer = _read_number(row, "answer")
    return _question(row, get_texts(row, "choices"), answer, subset=subject)


@reads_fields(PUBMEDQA, unused=PUBMEDQA_UNUSED)
def read_pubmedqa(row: Raw) -> Question:
    """PubMedQA: `context` is the abstract without its conclusion; never `long_answer`.

    The sections lose their labels ("METHODS: "), as in the prompts of lm-evaluation-harness: with
    labels, a real model chose another answer to 28 of 251 questions.
    """
    if "final_decision" not in row:
        context = _SECTION_LABEL.sub("", get_text(row, "context"))
        return _lettered(row, get_text(row, "answer"), context=context)
    texts = get_texts(get_value(row, "context", dict), "contexts")
    options = ["yes", "no", "maybe"]
    decision = get_text(row, "final_decision")
    if decision not in options:
        raise ValueError(f"final_decision should be yes, no or maybe, is {decision!r}")
    row = {**row, "id": str(get_number(row, "pubid"))}
    return _question(row, options, options.index(decision), context="\n".join(texts))


@reads_fields(PUBMEDQA, unused=PUBMEDQA_UNUSED)
def read_pubmedqa_test(row: Raw) -> Question | None:
    """PubMedQA: one of the 500 labelled test rows of its authors, None for the other 500.

    The hub has all 1,000 in one split. pubmedqa_train_ids.txt lists those for training (train and
    dev of the authors' repository).
    """
    question = read_pubmedqa(row)
    return None if question.id in pubmedqa_train_ids() else question


@reads_fields(PUBMEDQA, unused=PUBMEDQA_UNUSED)
def read_pubmedqa_train(row: Raw) -> Question | None:
    """PubMedQA: one of the other 500 labelled rows, for training or few-shot examples."""
    question = read_pubmedqa(row)
    return question if question.id in pubmedqa_train_ids() else None


@functools.cache
def pubmedqa_train_ids() -> frozenset[str]:
    """Return the ids of the authors' training and validation rows, 500 of the 1,000 labelled."""
    return frozenset(Path(__file__).with_name("pubmedqa_train_ids.txt").read_text().split())


@reads_fields(
    "question answer document_source document_id document_url question_focus doc_id url focus",
    unused=MEDQUAD_UNUSED,
)
def read_medquad(row: Raw) -> Article | None:
    """MedQuAD: a question with its answer, as an article of one section; see `join_pages`.

    None for pairs whose answer is withheld for copyright. `group` is the condition, because several
    institutes have a page on the same one. Two pages name no condition and get the end of their
    address as title.
    """
    hub = "document_id" in row
    answer = row.get("answer")
    if hub and not (isinstance(answer, str) and answer.strip()):
        return None
    page = f"{get_text(row, 'document_source')}/{get_text(row, 'document_id')}" if hub else None
    focus = (row.get("question_focus" if hub else "focus") or "").strip()
    address = get_text(row, "document_url" if hub else "url")
    return Article(
        id=page or get_text(row, "doc_id"),
        title=focus or PurePosixPath(address).stem.replace("_", " "),
        sections=[Section(heading=get_text(row, "question").strip(), text=get_text(row, "answer"))],
        licence="CC BY 4.0",
        group=focus.casefold() or page or get_text(row, "doc_id"),
    )


def join_pages(articles: list[Article]) -> list[Article]:
    """Merge the articles of one id into one, with all their sections in order."""
    pages: dict[str, list[Article]] = {}
    for article in articles:
        pages.setdefault(article.id, []).append(article)
    return [
        dataclasses.replace(parts[0], sections=[s for part in parts for s in part.sections])
        for parts in pages.values()
    ]


@reads_fields("title chapter text sections chapter_review", unused="order unit")
def read_openstax(row: Raw) -> Article:
    """OpenStax Anatomy & Physiology: one module, split at its headings; `group` is the chapter."""
    sections = _split_at_headings(get_text(row, "text"), get_texts(row, "sections"))
    if row.get("chapter_review"):
        sections.append(Section(heading="Chapter Review", text=get_text(row, "chapter_review")))
    return Article(
        id=get_text(row, "id"),
        title=get_text(row, "title"),
        sections=sections,
        licence="CC BY 3.0",
        group=get_text(row, "chapter"),
    )


def _split_at_headings(text: str, headings: list[str]) -> list[Section]:
    """Split the text at the lines that equal the next heading; the first heading has no line."""
    pieces: list[tuple[str, list[str]]] = [(headings[0] if headings else "", [])]
    for line in text.split("\n"):
        if headings[len(pieces) :] and line.strip() == headings[len(pieces)]:
            pieces.append((headings[len(pieces)], []))
        else:
            pieces[-1][1].append(line)
    if len(pieces) < len(headings):
        raise ValueError(f"heading {headings[len(pieces)]!r} is not a line of the text")
    return [Section(heading=head, text="\n".join(lines).strip()) for head, lines in pieces]


@reads_fields("title licence abstract sections kind", unused=PLOS_UNUSED)
def read_plos(row: Raw) -> Article:
    """A PLOS article: the abstract, if any, then its sections."""
    abstract = row.get("abstract")
    sections = [Section(heading="Abstract", text=abstract)] if abstract else []
    for part in get_value(row, "sections", list):
        sections.append(Section(heading=get_text(part, "heading"), text=get_text(part, "text")))
    identifier = get_text(row, "id")
    return Article(
        id=identifier,
        title=get_text(row, "title"),
        sections=sections,
        licence=get_text(row, "licence"),
        group=identifier,
    )


@reads_fields("title licence abstract sections kind", unused=PLOS_UNUSED)
def read_plos_review(row: Raw) -> Article | None:
    """A PLOS article that reviews or gives advice (`kind`); None for research."""
    return read_plos(row) if get_text(row, "kind") == "review_like" else None


def _lettered(row: Raw, answer: str, **more: str) -> Question:
    """Return a question with options by letter; letters in lower case or brackets count, too."""
    texts = get_texts({"options": list_options(get_value(row, "options", dict))}, "options")
    letters = LETTERS[: len(texts)]
    index = read_letter(answer)
    if not isinstance(index, int) or index >= len(letters):
        raise ValueError(f"answer {answer!r} is not one of the options {', '.join(letters)}")
    stated = row.get("answer_text") or (row.get("answer") if "answer_idx" in row else None)
    if stated in texts and stated != texts[index]:
        raise ValueError(f"answer {stated!r} is not the text of option {letters[index]}")
    return _question(row, texts, index, **more)


def _read_number(row: Raw, name: str) -> int:
    """Return an answer index from 0, also if it is a letter."""
    return get_number({**row, name: read_letter(row.get(name))}, name)


def _question(row: Raw, options: list[str], answer: int, **more: str) -> Question:
    question = get_text(row, "question")
    is_marked = "image_suspected" in row
    suspected = row["image_suspected"] if is_marked else bool(_IMAGE.search(question))
    group_text = more.get("context") or "\n".join([question, *sorted(options)])
    return Question(
        id=get_text(row, "id"),
        question=question,
        options=options,
        answer=answer,
        group=hash_text(group_text),
        image_suspected=suspected is True,
        **more,
    )
