"""Files that are read with the file that a setting names, because they are next to it."""

from pathlib import Path

TRIPLES = ("{name}.templates.csv",)  # a user's own wordings of the questions
# Of cMedQA2. Both spellings occur: the README has the plural, the archives the singular.
QUESTION_FILES = ("question.csv", "questions.csv")
COMPANIONS = {  # by the reader of a dataset spec, or by the name of a setting
    "triples": TRIPLES,
    "mini_triples": TRIPLES,
    "cmedqa2": (*QUESTION_FILES, "train_candidates.txt"),
    "cmedqa2_test": (*QUESTION_FILES, "test_candidates.txt"),
    "ledger": ("{stem}_readings.csv",),  # the marks of a second reader
}


def list_companions(file: Path, reader: str) -> list[Path]:
    """Return the files next to `file` that are read with it and exist.

    `reader`: the registered name before the @ of a dataset spec, or the setting that names the
    file. A result depends on these files as on `file` itself.
    """
    words = {"name": file.name.split(".")[0], "stem": file.stem}
    files = (file.with_name(name.format(**words)) for name in COMPANIONS.get(reader, ()))
    return [other for other in files if other.is_file()]
