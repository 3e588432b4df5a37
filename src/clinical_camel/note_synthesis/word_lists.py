"""Lists of words in the csv files of this package."""

import csv
import importlib.resources

FOLDER = importlib.resources.files("clinical_camel.note_synthesis")


def read_rows(name: str) -> list[list[str]]:
    """Return the rows of a csv file of this package, without its header.

    >>> read_rows("headings.csv")[0]
    ['subjective', 'subjective']
    """
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def read_groups(name: str) -> dict[str, tuple[str, ...]]:
    """Return the second column of a csv file by the first, both in the order of the file.

    >>> list(read_groups("headings.csv"))
    ['subjective', 'objective', 'assessment and plan']
    """
    groups: dict[str, list[str]] = {}
    for group, word in read_rows(name):
        groups.setdefault(group, []).append(word)
    return {group: tuple(words) for group, words in groups.items()}
