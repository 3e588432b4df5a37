"""python -m clinical_camel run <study> [<step> ...] [--force] [--rate 2.50] | status <study> | list
| plan <study> [--rate 2.50] [--machine h100] | doctor [<study>]
| synthesise <study> --executor local|slurm|ray --tasks 8 --workers 2
| card <study> [--dialogues] | merge <study> <folder> | push <study> <owner/name> [--public]"""

import argparse
import os
import sys
from pathlib import Path

# before papermill is imported: kernels inherit it, and each would print two lines about it
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")

from clinical_camel import data  # noqa: E402
from clinical_camel.runs import rules  # noqa: E402
from clinical_camel.runs.plan import in_order, load_job, load_jobs  # noqa: E402
from clinical_camel.runs.record import kept  # noqa: E402
from clinical_camel.runs.runner import Command, main  # noqa: E402

rules.datasets = data  # so that a spec is checked before a kernel starts


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a folder of params/")
    parser.add_argument("--rate", type=float, default=0.0, help="money an hour, any currency")
    parser.add_argument("--machine", default="", help="cpu, a100, h100 or h200")
    parser.add_argument("--config", default="", help="config.json of a base that is not known")
    parser.add_argument(
        "--tokens-per-second", type=float, default=0.0, help="of training, in place of our guess"
    )


def _plan(asked: argparse.Namespace) -> int:
    jobs = in_order(load_jobs(asked.study))  # wrong params are said at once
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded; read when transformers is imported
    from clinical_camel import planning  # torch, so for this command only

    return planning.show(jobs, asked.rate, asked.machine, asked.config, asked.tokens_per_second)


def _doctor_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", nargs="?", default="", help="a folder of params/")


def _doctor(asked: argparse.Namespace) -> int:
    jobs = in_order(load_jobs(asked.study)) if asked.study else []
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    os.environ["HF_HUB_OFFLINE"] = "1"  # it asks whether files may be had, and fetches none
    from clinical_camel import doctor

    return doctor.show(jobs, offline)


def _synthesise_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a folder of params/ with 01 and a language model as teacher")
    parser.add_argument("--executor", choices=("local", "slurm", "ray"), default="local")
    parser.add_argument("--tasks", type=int, default=8, help="shards, each with a ledger")
    parser.add_argument("--workers", type=int, default=0, help="tasks at a time; 0 means all")
    parser.add_argument("--time", default="24:00:00", help="slurm: limit of a task")
    parser.add_argument("--partition", default="", help="slurm: where it runs")
    parser.add_argument(
        "--sbatch",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        type=_named,
        help="slurm: more of its options",
    )


def _named(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not name or not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _synthesise(asked: argparse.Namespace) -> int:
    params = load_job(asked.study, "01_dbke").params
    try:
        from clinical_camel.dbke import pipeline
    except ModuleNotFoundError as error:
        print(f"synthesise needs {error.name}: pip install -e '.[scale]'", file=sys.stderr)
        return 2
    site = pipeline.Site(
        tasks=max(1, asked.tasks),
        workers=max(0, asked.workers),
        time=asked.time,
        partition=asked.partition,
        sbatch=dict(asked.sbatch),
    )
    return pipeline.show(params, kept(asked.study, "01_dbke", "ledger"), asked.executor, site)


def _card_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a study whose steps 02 and 03 are complete")
    parser.add_argument("--dialogues", action="store_true", help="of its dialogues: step 01")


def _card(asked: argparse.Namespace) -> int:
    from clinical_camel import release

    write = release.write_dataset_card if asked.dialogues else release.write_card
    print(write(asked.study))
    return 0


def _merge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a study whose adapter is on this machine")
    parser.add_argument("folder", type=Path, help="where the merged model goes; new or empty")


def _merge(asked: argparse.Namespace) -> int:
    from clinical_camel import release

    print(release.merge(asked.study, asked.folder).to_string(index=False))
    return 0


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", help="a study whose adapter is on this machine")
    parser.add_argument("repository", help="owner/name on the hub; private unless it is public")
    parser.add_argument("--public", action="store_true", help="make it public")


def _push(asked: argparse.Namespace) -> int:
    from clinical_camel import release

    print(release.push(asked.study, asked.repository, asked.public))
    return 0


COMMANDS = (
    Command("plan", "what a study will take, before it is paid for", _plan_arguments, _plan),
    Command("doctor", "whether this machine is fit to run it", _doctor_arguments, _doctor),
    Command("synthesise", "fill the ledger of 01 with workers", _synthesise_arguments, _synthesise),
    Command("card", "a card of model or dialogues, from the runs", _card_arguments, _card),
    Command("merge", "the adapter added into its base, checked", _merge_arguments, _merge),
    Command("push", "the adapter and its card to the hub, private", _push_arguments, _push),
)

if __name__ == "__main__":
    code = main(more=COMMANDS)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads any more: else Python itself would end with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
