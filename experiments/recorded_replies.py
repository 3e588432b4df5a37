"""Record the replies of a language model that is not an endpoint: prompts out, replies in.

    python -m experiments.recorded_replies export FOLDER
    python -m experiments.recorded_replies import FOLDER
    python -m experiments.recorded_replies sheet FOLDER
    python -m experiments.recorded_replies readings FOLDER --reader "a clinician"
    python -m experiments.recorded_replies common data/recorded

`export` writes the prompts of five sets (SETS) to FOLDER/requests: dialogues on three sets of
articles, paraphrases of two. A writer sees nothing but one of these texts, answers once, and the
raw reply goes to FOLDER/replies/<key>.txt. `import` appends new replies to the ledger, byte for
byte: see `clinical_camel.dbke.recording`.

`sheet` writes what a second reader gets: ten accepted dialogues of mini_camel_llm (in FOLDER/set_1)
and up to five rejected ones (in FOLDER/set_2), drawn with seed 0, without the verdicts of the
check. `readings` checks the filled tables and writes one beside the ledger, where
notebook 01 reads it. `common` writes the embedded articles of which both the dialogue and the
paraphrase were accepted, and the exam questions on their conditions: for the sweep dbke_reworded.
"""

import argparse
import json
import random
from pathlib import Path

import pandas as pd
from tests.support.project import Memory

from clinical_camel import dbke, teachers
from clinical_camel.core.paths import root
from clinical_camel.data import Dialogue
from clinical_camel.data.registry import find_source, locate_shipped_file
from clinical_camel.dbke.synthesis import Query
from clinical_camel.runner.jobs import load_job

WRITER = "a large language model (no name recorded)"
STUDY = "mini_camel_llm"
LEDGER = "data/recorded/llm_replies.sqlite"
READINGS = "data/recorded/llm_replies_readings.csv"
PARAPHRASE = {"task": "paraphrase", "form": "headings"}
# prefix of the keys: a study, and what differs from its step 01
SETS = {
    "exam": (STUDY, {}),
    "dev": (STUDY, {"articles": ["mini_articles_dev"]}),
    "ostx": ("openstax_llm", {}),
    "para": (STUDY, PARAPHRASE),
    "pdev": (STUDY, {"articles": ["mini_articles_dev"], **PARAPHRASE}),
}
ACCEPTED, REJECTED = 10, 5  # dialogues that the second reader gets


def list_queries() -> dict[str, Query]:
    """Return the query of each prompt by its key, such as exam00."""
    sets = []
    for prefix, (study, changes) in SETS.items():
        settings = load_job(study, "01_dbke").settings
        names = {"terms", "context", "max_new_tokens", "dialogue_attempts"}
        # a stand-in that is never called: before the first import there is no ledger
        teacher = dbke.Local(model="mini", **settings.teacher.model_dump(include=names))
        settings = settings.model_copy(update={"teacher": teacher, **changes})
        sets.append(dbke.list_queries(dbke.prepare(settings), settings, WRITER, prefix))
    return teachers.merge_queries(*sets)


def read_replies(
    **changes: str,
) -> tuple[list[Dialogue], list[Dialogue], dict[str, dbke.Request]]:
    """Return the accepted and the rejected dialogues of the study, and its requests by id."""
    settings = load_job(STUDY, "01_dbke").settings.model_copy(update=changes)
    plan = dbke.prepare(settings)
    accepted, _, rejected = dbke.synthesise(plan.requests, plan.teacher, Memory(), settings)
    requests = {request.id: request for request in plan.requests}
    return accepted, [reply.dialogue for reply in rejected], requests


def write_sheets(folder: Path) -> None:
    """Write the sheets for a second reader; the folders' names say nothing about the check."""
    accepted, rejected, requests = read_replies()
    for name, dialogues, count in (("set_1", accepted, ACCEPTED), ("set_2", rejected, REJECTED)):
        chosen = random.Random(0).sample(dialogues, min(count, len(dialogues)))
        dbke.write_sheet(chosen, requests, folder / name)
        print(f"{folder / name}: {len(chosen)} of {len(dialogues)} dialogues")


def save_readings(folder: Path, reader: str) -> None:
    """Check the filled tables in a folder, write them as one, print what notebook 01 will show."""
    tables = [dbke.load_readings(file) for file in sorted(folder.rglob("readings.csv"))]
    readings = pd.concat(tables, ignore_index=True).assign(reader=reader)
    accepted, rejected, requests = read_replies()
    table = dbke.tabulate_readings(readings, [*accepted, *rejected], requests)
    readings.to_csv(root() / READINGS, index=False, lineterminator="\n")
    print(table.to_string(index=False))
    print("\n".join(dbke.describe_readings(readings, table)))


def write_common(folder: Path) -> None:
    """Write the articles that both kinds of accepted replies rewrite, and the questions on them."""
    kinds = ({}, PARAPHRASE)
    accepted = [{row.id.rpartition("/")[0] for row in read_replies(**kind)[0]} for kind in kinds]
    rows = _read_shipped("mini_articles")
    articles = [row for row in rows if row["id"] in accepted[0] & accepted[1]]
    titles = {row["title"] for row in articles}
    questions = [row for row in _read_shipped("mini_exam") if row["group"] in titles]
    for name, chosen in (("common_articles", articles), ("common_exam", questions)):
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in chosen)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{folder / name}.jsonl: {len(chosen)} rows")


def _read_shipped(name: str) -> list[dict]:
    lines = locate_shipped_file(find_source(name)).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("export", "import", "sheet", "common", "readings"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
    command.add_argument("--reader", required=True, help="who read, such as: a clinician")
    options = parser.parse_args()
    if options.command == "export":
        queries = list_queries()
        teachers.export_requests(queries, options.folder)
        print(f"{options.folder / 'requests'}: {len(queries)} prompts")
    elif options.command == "import":
        queries, ledger = list_queries(), root() / LEDGER
        count = teachers.import_replies(queries, options.folder, ledger)
        print(f"{LEDGER}: {count} replies added; {len(queries)} prompts in all")
    elif options.command == "common":
        write_common(options.folder)
    elif options.command == "sheet":
        write_sheets(options.folder)
    else:
        save_readings(options.folder, options.reader)


if __name__ == "__main__":
    main()
