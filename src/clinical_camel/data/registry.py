"""The registered datasets: what each name means, where its rows come from, what it is for.

A new dataset is one `Source` here and, for a new schema, one reader in `readers.py`.

Hub ids were checked on public pages or in public code that uses them; where none was found with
the original rows the id is empty and the name is used as `name@path`. A revision is a hash only
where that hash was read on a page of the dataset; else it is `main`, which `describe` resolves and
records.
"""

import dataclasses
import difflib
import functools
import importlib.resources
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinical_camel.data import cleaning, readers
from clinical_camel.data.shapes import Article, Consultation, DataError, Dialogue, Question

MMLU_SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
ACI_PARTS = ("virtassist", "virtscribe", "aci")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the rows of a name come from.

    `role` is train (may be learned from), eval (must not), or material (articles, consultations).
    `read` turns a raw row into ours; None means that the file is in our own row shape already.
    `number` is the id of a hub row that has none, filled with split, config and position.
    """

    shape: type
    role: str
    licence: str
    read: Callable[[dict[str, Any]], Any] | None = None
    join: Callable[[list[Any]], list[Any]] | None = None
    shipped: str = ""
    hub: str = ""
    configs: tuple[str, ...] = ("",)
    splits: tuple[str, ...] = ()
    revision: str = "main"
    number: str = ""


_exam = functools.partial(Source, shape=Question)
_text = functools.partial(Source, shape=Article, role="material")
_visit = functools.partial(Source, shape=Consultation, role="material")
_own = functools.partial(Source, licence="Apache-2.0")

_medqa = functools.partial(
    _exam,
    read=readers.read_medqa,
    licence="MIT (source), CC BY 4.0 (hub card)",
    hub="GBaker/MedQA-USMLE-4-options",
    revision="0fb93dd23a7339b6dcd27e241cb9b5eca62d4d18",
    number="medqa-us-{split}-{position:04d}",
)
_medqa_5 = functools.partial(_exam, read=readers.read_medqa, licence="MIT")
_medmcqa = functools.partial(
    _exam,
    read=readers.read_medmcqa,
    licence="MIT (source), Apache-2.0 (hub card)",
    hub="openlifescienceai/medmcqa",
)
_mmlu = functools.partial(
    _exam,
    read=readers.read_mmlu,
    licence="MIT",
    hub="cais/mmlu",
    configs=MMLU_SUBJECTS,
)
_pubmedqa = functools.partial(
    _exam, read=readers.read_pubmedqa, licence="MIT", hub="qiaojin/PubMedQA", splits=("train",)
)


def _meadow(part: str, role: str = "train") -> Source:
    return Source(
        shape=Dialogue,
        role=role,
        read=functools.partial(readers.read_instruction, source=f"medical_meadow_{part}"),
        licence="not stated for all parts (hub card)",
        hub=f"medalpaca/medical_meadow_{part}",
        splits=("train",),
        number=f"{part}-{{position:06d}}",
    )


SOURCES: dict[str, Source] = {
    # the embedded study, shipped with the package
    "mini_articles": _own(shape=Article, role="material", shipped="articles.jsonl"),
    "mini_articles_dev": _own(shape=Article, role="material", shipped="articles_dev.jsonl"),
    "mini_exam": _own(shape=Question, role="eval", shipped="exam.jsonl"),
    "mini_exam_dev": _own(shape=Question, role="eval", shipped="exam_dev.jsonl"),
    "mini_exam_primer": _own(shape=Question, role="eval", shipped="exam_primer.jsonl"),
    "mini_exam_train": _own(shape=Question, role="train", shipped="exam_train.jsonl"),
    "mini_chat": _own(
        shape=Dialogue,
        role="train",
        shipped="chat.jsonl",
        read=functools.partial(readers.read_sharegpt, source="mini_chat"),
    ),
    "mini_consultations": _own(shape=Consultation, role="material", shipped="consultations.jsonl"),
    # exams
    "medqa_us": _medqa(role="eval", splits=("test",)),
    "medqa_us_train": _medqa(role="train", splits=("train",)),
    # As its authors publish it, with five options: questions/US/{test,train}.jsonl of jind11/MedQA.
    "medqa_us_5_options": _medqa_5(role="eval", number="medqa-us-5-test-{position:04d}"),
    "medqa_us_5_options_train": _medqa_5(role="train", number="medqa-us-5-train-{position:05d}"),
    # Its validation split is the test set everywhere: the labels of the test split are hidden.
    "medmcqa": _medmcqa(role="eval", splits=("validation",)),
    "medmcqa_train": _medmcqa(role="train", splits=("train",)),
    "mmlu_medical": _mmlu(role="eval", splits=("test",), number="{config}-{position:03d}"),
    "mmlu_medical_dev": _mmlu(role="train", splits=("dev",), number="{config}-dev-{position}"),
    # All 1,000 labelled rows are the test set here, as in the harness the published scores used;
    # the train rows of the hub are therefore the machine-labelled ones (no "maybe" among them).
    "pubmedqa": _pubmedqa(role="eval", configs=("pqa_labeled",)),
    "pubmedqa_train": _pubmedqa(role="train", configs=("pqa_artificial",)),
    # The 500 that the authors test on, as today's harness; their other 500 may be learned from.
    "pubmedqa_test": _pubmedqa(
        role="eval", configs=("pqa_labeled",), read=readers.read_pubmedqa_test
    ),
    "pubmedqa_labelled_train": _pubmedqa(
        role="train", configs=("pqa_labeled",), read=readers.read_pubmedqa_train
    ),
    # Exam items as Clinical Camel's first author put them on the hub; which of these sets is the
    # paper's "USMLE Sample Exam" is not known. Options that a question lacks are null there.
    **{
        name: _exam(
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
    "medqa_mcmle": _exam(role="eval", read=readers.read_lettered, licence="MIT"),
    # articles
    "medquad": _text(
        read=readers.read_medquad,
        join=readers.join_pages,
        licence="CC BY 4.0",
        hub="lavita/MedQuAD",
        splits=("train",),
        revision="84ea67f83cec9692ad254eaa02c9731b24ecfe4c",
    ),
    "openstax_anatomy": _text(read=readers.read_openstax, licence="CC BY 3.0"),
    "plos_medical": _text(read=readers.read_plos, licence="CC BY"),
    # of the same files those that review or advise, by the judgement of who chose them
    "plos_reviews": _text(read=readers.read_plos_review, licence="CC BY"),
    # consultations
    "aci_bench": _visit(
        read=readers.read_aci_bench,
        licence="CC BY 4.0",
        hub="mkieffer/ACI-Bench",
        configs=ACI_PARTS,
        splits=("test1", "test2", "test3"),
    ),
    "mts_dialog": _visit(read=readers.read_mts_dialog, licence="CC BY 4.0"),
    "primock57": _visit(read=readers.read_primock57, licence="CC BY 4.0"),
    "transcripts": _visit(read=readers.read_transcript, licence="the user's own"),
    # Medical Meadow, as MedAlpaca has it on the hub: instruction, input, output. Its readme and its
    # data description count the parts differently.
    **{
        f"medical_meadow_{part}": _meadow(part)
        for part in (
            *("medical_flashcards", "wikidoc", "wikidoc_patient_information", "mediqa"),
            *("cord19", "medqa", "health_advice", "pubmed_causal"),
        )
    },
    # MMLU's test questions, which MedAlpaca trained on: here nothing can.
    "medical_meadow_mmmlu": _meadow("mmmlu", role="eval"),
    # general conversation; not the selection of the paper, which was never published
    "sharegpt": Source(
        shape=Dialogue,
        role="train",
        read=readers.read_sharegpt,
        licence="Apache-2.0 (hub card)",
        hub="Aeala/ShareGPT_Vicuna_unfiltered",
        splits=("train",),
    ),
    # the same without what `cleaning` leaves out; `data.cleaning_table` has the counts
    "sharegpt_cleaned": Source(
        shape=Dialogue,
        role="train",
        read=cleaning.read_clean,
        join=cleaning.first_of_each,
        licence="Apache-2.0 (hub card)",
        hub="Aeala/ShareGPT_Vicuna_unfiltered",
        splits=("train",),
    ),
}


def find(name: str) -> Source:
    """The source of a registered name; DataError with the nearest names for an unknown one."""
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(name, SOURCES, n=3) or sorted(SOURCES)
    raise DataError(f"{name!r} is no registered dataset. Did you mean {', '.join(near)} or a path?")


def on_hub(name: str) -> Source:
    """The source of a name that stands on the hub; DataError for one that needs a file."""
    source = find(name)
    if not source.hub:
        raise DataError(
            f"{name} is not on the hub in this form; give a file: {name}@data/public/..."
        )
    return source


def shipped_path(source: Source) -> Path:
    """The file of this source inside the package."""
    path = Path(str(importlib.resources.files("clinical_camel") / "mini" / source.shipped))
    if not path.is_file():
        raise DataError(f"the package lacks mini/{source.shipped}; install it again from a clone")
    return path


def hub_rows(name: str) -> list[dict[str, Any]]:
    """The raw rows of a registered name from the hub, each with its split, config and position."""
    source = on_hub(name)
    rows = []
    for config in source.configs:
        for split in source.splits:
            for position, row in enumerate(_download(name, source, config, split)):
                place = {"split": split, "config": config, "position": position}
                rows.append(_numbered(source, place, place | row))
    return rows


def file_rows(source: Source, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The raw rows of a file, with ids where the published schema has none (MedQA, MMLU)."""
    return [
        _numbered(
            source, {"split": "file", "config": row.get("subject", ""), "position": position}, row
        )
        for position, row in enumerate(rows)
    ]


def resolved_revision(source: Source) -> str:
    """The commit that the source's revision means on the hub now; empty where out of reach."""
    try:
        import huggingface_hub

        return huggingface_hub.HfApi().dataset_info(source.hub, revision=source.revision).sha or ""
    except Exception:  # offline, renamed, gated: the record says that it is not known
        return ""


def _numbered(source: Source, place: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    return {"id": source.number.format(**place)} | row if source.number else row


def _download(name: str, source: Source, config: str, split: str) -> Any:
    import datasets  # here, not above: it takes a second that local files need not pay

    try:
        return datasets.load_dataset(
            source.hub, config or None, split=split, revision=source.revision
        )
    except Exception as error:  # the library raises some ten kinds, also for a lost connection
        raise DataError(
            f"{name}: {source.hub} ({config or 'default'}, {split}) could not be had from the hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}). "
            f"Without a network give a file: {name}@data/public/... (README, 'Real data')."
        ) from error
