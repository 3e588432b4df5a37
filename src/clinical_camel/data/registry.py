"""The registered datasets: name, source of the rows, and allowed use.

A new dataset needs one `Source` here and, for a new schema, one reader in `readers.py`.

Hub ids were checked on public pages or in public code that uses them. Where none was found with the
original rows, the id is empty and the name is used as `name@path`. A revision is a commit hash only
if that hash was read on a page of the dataset; otherwise it is `main`, which `describe` resolves
and records.
"""

import difflib
import functools
import importlib.resources
from pathlib import Path
from typing import Any

from clinical_camel.data import consultations, conversations, medical_qa, readers, triples
from clinical_camel.data.fields import Raw
from clinical_camel.data.shapes import (
    Article,
    Consultation,
    DataError,
    Dialogue,
    Question,
    TrainingText,
)
from clinical_camel.data.source import Source
from clinical_camel.data.tables import read_table

MMLU_SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
_IDS = ("id", "encounter_id", "pubid", "doc_id", "document_id")  # what readers make an id of
ACI_PARTS = ("virtassist", "virtscribe", "aci")


_questions = functools.partial(Source, shape=Question, verbatim=True)
_articles = functools.partial(Source, shape=Article, role="material")
_consultations = functools.partial(Source, shape=Consultation, role="material")
_mini = functools.partial(Source, licence="CC-BY-4.0", citation="mini")

_medqa = functools.partial(
    _questions,
    read=readers.read_medqa,
    licence="MIT (source), CC BY 4.0 (hub card)",
    hub="GBaker/MedQA-USMLE-4-options",
    revision="0fb93dd23a7339b6dcd27e241cb9b5eca62d4d18",
    number="medqa-us-{split}-{position:04d}",
    citation="medqa",
)
_medqa_5 = functools.partial(_questions, read=readers.read_medqa, licence="MIT", citation="medqa")
_medmcqa = functools.partial(
    _questions,
    read=readers.read_medmcqa,
    licence="MIT (source), Apache-2.0 (hub card)",
    hub="openlifescienceai/medmcqa",
    citation="medmcqa",
)
_mmlu = functools.partial(
    _questions,
    read=readers.read_mmlu,
    licence="MIT",
    hub="cais/mmlu",
    configs=MMLU_SUBJECTS,
    citation="mmlu",
)
_pubmedqa = functools.partial(
    _questions,
    read=readers.read_pubmedqa,
    licence="MIT",
    hub="qiaojin/PubMedQA",
    splits=("train",),
    citation="pubmedqa",
)


_dialogues = functools.partial(Source, shape=Dialogue)
_triples = functools.partial(_dialogues, role="train", open_file=triples.read_triples)
_cmedqa2 = functools.partial(
    _dialogues,
    read=medical_qa.read_cmedqa2_row,
    licence="non-commercial research (README of its repository)",
    citation="cmedqa2",
)
_meddialog = functools.partial(
    _dialogues,
    read=medical_qa.read_meddialog_row,
    open_file=medical_qa.read_meddialog,
    licence="unknown (hub card); copyright of the web sites of the conversations",
    citation="meddialog",
)


def _meadow(part: str, role: str = "train") -> Source:
    return Source(
        shape=Dialogue,
        role=role,
        read=functools.partial(conversations.read_instruction, source=f"medical_meadow_{part}"),
        licence="not stated for all parts (hub card)",
        hub=f"medalpaca/medical_meadow_{part}",
        splits=("train",),
        number=f"{part}-{{position:06d}}",
    )


SOURCES: dict[str, Source] = {
    # the embedded study, shipped with the package
    "mini_articles": _mini(shape=Article, role="material", shipped="articles.jsonl"),
    "mini_articles_dev": _mini(shape=Article, role="material", shipped="articles_dev.jsonl"),
    "mini_exam": _mini(shape=Question, role="eval", shipped="exam.jsonl"),
    "mini_exam_dev": _mini(shape=Question, role="eval", shipped="exam_dev.jsonl"),
    **{
        f"mini_{name}": _mini(shape=Question, role="eval", shipped=f"{name}.jsonl")
        for name in (
            *("exam_reversed", "exam_two_step", "exam_cloze"),
            *("exam_dev_reversed", "exam_dev_two_step", "exam_dev_cloze"),
        )
    },
    "mini_exam_primer": _mini(shape=Question, role="eval", shipped="exam_primer.jsonl"),
    "mini_exam_train": _mini(shape=Question, role="train", shipped="exam_train.jsonl"),
    "mini_chat": _mini(
        shape=Dialogue,
        role="train",
        shipped="chat.jsonl",
        read=functools.partial(conversations.read_sharegpt, source="mini_chat"),
    ),
    # texts of the base model's pretraining; verbatim, because some titles have two lines
    "mini_primer": _mini(shape=TrainingText, role="train", shipped="primer.jsonl", verbatim=True),
    # the facts of mini_articles as a knowledge graph; a user's own graph as triples@path
    "mini_triples": _mini(
        shape=Dialogue,
        role="train",
        shipped="triples.csv",
        open_file=triples.read_triples,
        read=functools.partial(triples.read_triple_row, source="mini_triples"),
    ),
    "triples": _triples(
        licence="the user's own",
        read=functools.partial(triples.read_triple_row, source="triples"),
    ),
    # diagnosis from the record of an invented patient
    "mini_records": _mini(shape=Dialogue, role="train", shipped="records.jsonl"),
    "mini_records_test": _mini(shape=Dialogue, role="eval", shipped="records_test.jsonl"),
    "mini_consultations": _mini(shape=Consultation, role="material", shipped="consultations.jsonl"),
    # exams
    "medqa_us": _medqa(role="eval", splits=("test",)),
    "medqa_us_train": _medqa(role="train", splits=("train",), citation="medqa_dev"),
    # As published, with five options: questions/US/{test,train}.jsonl of jind11/MedQA.
    "medqa_us_5_options": _medqa_5(role="eval", number="medqa-us-5-test-{position:04d}"),
    "medqa_us_5_options_train": _medqa_5(role="train", number="medqa-us-5-train-{position:05d}"),
    # The validation split is the test set everywhere: the labels of the test split are hidden.
    "medmcqa": _medmcqa(role="eval", splits=("validation",)),
    "medmcqa_train": _medmcqa(role="train", splits=("train",)),
    "mmlu_medical": _mmlu(role="eval", splits=("test",), number="{config}-{position:03d}"),
    "mmlu_medical_dev": _mmlu(role="train", splits=("dev",), number="{config}-dev-{position}"),
    # All 1,000 labelled rows are the test set here, as in the harness of the published scores. The
    # training rows of the hub are therefore the machine-labelled ones, without any "maybe".
    "pubmedqa": _pubmedqa(role="eval", configs=("pqa_labeled",)),
    "pubmedqa_train": _pubmedqa(role="train", configs=("pqa_artificial",)),
    # The 500 test rows of the authors, as in today's harness; the other 500 are training rows.
    "pubmedqa_test": _pubmedqa(
        role="eval", configs=("pqa_labeled",), read=readers.read_pubmedqa_test
    ),
    "pubmedqa_labelled_train": _pubmedqa(
        role="train", configs=("pqa_labeled",), read=readers.read_pubmedqa_train
    ),
    # Exam items published on the hub by Clinical Camel's first author. Which of these sets is the
    # paper's "USMLE Sample Exam" is not known. Missing options are null in these files.
    **{
        name: _questions(
            role="eval",
            read=readers.read_medqa,
            licence="not stated",
            hub=f"augtoma/{name}",
            splits=("test",),
            number=f"{name}-{{position:03d}}",
        )
        for name in (
            *("usmle_step_1", "usmle_step_2", "usmle_step_3"),
            *("usmle_self_eval_step1", "usmle_self_eval_step2"),
        )
    },
    # As published: questions/Mainland/test.jsonl of jind11/MedQA; `meta_info` (recalled).
    "medqa_mcmle": _questions(
        role="eval", read=readers.read_mcmle, licence="MIT", citation="mcmle"
    ),
    # its training questions (questions/Mainland/train.jsonl) as dialogues
    "medqa_mcmle_dialogues": _dialogues(
        role="train",
        read=functools.partial(readers.read_medqa_dialogue, source="medqa_mcmle_dialogues"),
        licence="MIT",
        number="medqa-mcmle-train-{position:05d}",
        citation="mcmle",
    ),
    # articles
    "medquad": _articles(
        verbatim=True,
        read=readers.read_medquad,
        join=readers.join_pages,
        licence="CC BY 4.0",
        hub="lavita/MedQuAD",
        splits=("train",),
        revision="84ea67f83cec9692ad254eaa02c9731b24ecfe4c",
        citation="medquad",
    ),
    "openstax_anatomy": _articles(
        read=readers.read_openstax, verbatim=True, licence="CC BY 3.0", citation="openstax"
    ),
    "plos_medical": _articles(
        read=readers.read_plos, verbatim=True, licence="CC BY", citation="plos"
    ),
    # the articles of the same files that review or advise, as judged by the files' collector
    "plos_reviews": _articles(
        read=readers.read_plos_review, verbatim=True, licence="CC BY", citation="plos"
    ),
    # consultations
    "aci_bench": _consultations(
        read=consultations.read_aci_bench,
        verbatim=True,
        licence="CC BY 4.0",
        hub="mkieffer/ACI-Bench",
        configs=ACI_PARTS,
        splits=("test1", "test2", "test3"),
        citation="aci_bench",
    ),
    "mts_dialog": _consultations(
        read=consultations.read_mts_dialog,
        verbatim=True,
        licence="CC BY 4.0",
        citation="mts_dialog",
    ),
    "primock57": _consultations(
        read=consultations.read_primock57,
        verbatim=True,
        licence="CC BY 4.0",
        citation="primock57",
    ),
    "transcripts": _consultations(read=consultations.read_transcript, licence="the user's own"),
    # cMedQA2 and MedDialog, which ClinicalGPT trained on. The files of cMedQA2 are three (see
    # `medical_qa`); its copy on the hub does not name the split of a row, so it is for training
    # only if nothing is tested on cMedQA2. MedDialog on the hub is a script, which is not run.
    "cmedqa2": _cmedqa2(
        role="train", open_file=functools.partial(medical_qa.read_cmedqa2, split="train")
    ),
    "cmedqa2_test": _cmedqa2(
        role="eval", open_file=functools.partial(medical_qa.read_cmedqa2, split="test")
    ),
    "cmedqa2_instructions": _cmedqa2(
        role="train",
        licence="CC BY 4.0 (hub card); its source: non-commercial research",
        hub="zirui3/cMedQA2-instructions",
        splits=("train",),
        revision="f68b33eb637122df94853c1ecf6593271a284599",
        number="cmedqa2-{position:06d}",
    ),
    "meddialog": _meddialog(role="train"),
    "meddialog_test": _meddialog(role="eval"),
    # Medical Meadow of MedAlpaca on the hub: instruction, input, output. Its README and its data
    # description give different counts of the parts.
    **{
        f"medical_meadow_{part}": _meadow(part)
        for part in (
            *("medical_flashcards", "wikidoc", "wikidoc_patient_information", "mediqa"),
            *("cord19", "medqa", "health_advice", "pubmed_causal"),
        )
    },
    # MMLU's test questions. MedAlpaca trained on them; here no model can.
    "medical_meadow_mmmlu": _meadow("mmmlu", role="eval"),
    # general conversation; not the selection of the paper, which was never published
    "sharegpt": Source(
        shape=Dialogue,
        role="train",
        read=conversations.read_sharegpt,
        licence="Apache-2.0 (hub card)",
        hub="Aeala/ShareGPT_Vicuna_unfiltered",
        splits=("train",),
        citation="sharegpt",
    ),
}


def find_source(name: str) -> Source:
    """Return the source of a registered name. Raises DataError with the nearest names."""
    if name in SOURCES:
        return SOURCES[name]
    if reason := list_private().get(name):
        raise DataError(f"{name}: {reason}")
    similar = difflib.get_close_matches(name, SOURCES, n=3) or sorted(SOURCES)
    raise DataError(
        f"{name!r} is not a registered dataset. Did you mean {', '.join(similar)} or a path?"
    )


def is_shipped(name: str) -> bool:
    """Return whether a registered dataset comes with the project; False for any other name."""
    source = SOURCES.get(name)
    return source is not None and bool(source.shipped)


@functools.cache
def list_private() -> dict[str, str]:
    """Return the datasets that only the authors of a published system have, with the reason."""
    rows, _ = read_table(Path(__file__).with_name("private_datasets.csv"), ("name", "reason"))
    return {row["name"]: row["reason"] for _, row in rows}


def require_on_hub(name: str) -> Source:
    """Return the source of a name on the hub. Raises DataError for a name that needs a file."""
    source = find_source(name)
    if not source.hub:
        raise DataError(
            f"{name} is not on the hub in this form; name a file: {name}@data/public/..."
        )
    return source


def locate_shipped_file(source: Source) -> Path:
    """Return the file of this source inside the package."""
    path = Path(str(importlib.resources.files("clinical_camel") / "mini" / source.shipped))
    if not path.is_file():
        raise DataError(f"the package lacks mini/{source.shipped}; reinstall it from a clone")
    return path


def download_rows(name: str) -> list[Raw]:
    """Return the raw rows of a name from the hub, each with its split, config and position."""
    source = require_on_hub(name)
    rows = []
    for config in source.configs:
        for split in source.splits:
            for position, row in enumerate(_download(name, source, config, split)):
                place = {"split": split, "config": config, "position": position}
                rows.append(_add_id(source, place, place | row))
    return rows


def number_rows(source: Source | None, stem: str, rows: list[Raw]) -> list[Raw]:
    """Add ids to the raw rows of a file if none has one, and write ids of whole numbers as text.

    The id is that of the source's template (MedQA, MMLU), else `<stem>-<number>`, from 1. If only
    some rows lack an id, these stay without, which is an error of the file.
    """
    if source and source.number:
        return [
            _add_id(source, {"split": "file", "config": row.get("subject", ""), "position": i}, row)
            for i, row in enumerate(rows)
        ]
    if not any(row.get(name) is not None for row in rows for name in _IDS):
        return [{**row, "id": f"{stem}-{number}"} for number, row in enumerate(rows, 1)]
    return [row | {"id": str(row["id"])} if type(row.get("id")) is int else row for row in rows]


def resolve_revision(source: Source) -> str:
    """Return the current commit of the source's revision on the hub; "" if unreachable."""
    try:
        import huggingface_hub

        return huggingface_hub.HfApi().dataset_info(source.hub, revision=source.revision).sha or ""
    except Exception:  # offline, renamed or gated: the run record has an empty commit
        return ""


def _add_id(source: Source, place: dict[str, Any], row: Raw) -> Raw:
    return {"id": source.number.format(**place)} | row if source.number else row


def _download(name: str, source: Source, config: str, split: str) -> Any:
    import datasets  # imported here: it takes a second, which local files do not need

    try:
        return datasets.load_dataset(
            source.hub, config or None, split=split, revision=source.revision
        )
    except Exception as error:  # the library raises about ten kinds, also for a lost connection
        raise DataError(
            f"{name}: {source.hub} ({config or 'default'}, {split}) could not be downloaded "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}). "
            f"Without a network name a file: {name}@data/public/... (docs/running.md, 'Real data')."
        ) from error
