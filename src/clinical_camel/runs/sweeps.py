"""Sweeps: a base study repeated with several arms and pairs of seeds, as sweep.yaml defines them.

A run is one arm with one pair of seeds: a data seed for the first step, a training seed for the
later ones. The first step writes to the study <sweep>/<arm>_d<data seed>, the later steps to the
study <sweep>/<arm>_d<data seed>_t<training seed>. The parameters of a run are those of the base
study with the changes of the arm; paths of the base study become paths of the run. Arms with equal
parameters of the first step share its results, under the name of the first such arm.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from clinical_camel.core.hashing import key_hash
from clinical_camel.core.paths import find_producer, root
from clinical_camel.core.settings import Settings, Text, valid_by
from clinical_camel.core.values import iter_texts, nearest, show
from clinical_camel.runs.notebooks import ParamsError, find_data_step
from clinical_camel.runs.params_files import (
    SWEEP_FILE,
    list_params_files,
    list_studies,
    load_params,
    read_yaml,
)
from clinical_camel.runs.schema import check_params

ARM_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
MAX_SEED = 2**32 - 1
EMPTY = {"base": "", "steps": [], "seeds": [], "arms": {}}  # for keys that cannot be read
Changes = dict[str, dict[str, Any]]  # settings by step


def _check_arm_name(name: Any) -> str:
    if isinstance(name, str) and ARM_NAME.fullmatch(name):
        return ""
    return (
        f"{show(name)} is not a valid arm name; write small letters, digits and _, a letter first"
    )


def _check_pair(pair: Any) -> str:
    is_pair = isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)
    if is_pair and all(0 <= seed <= MAX_SEED for seed in pair):
        return ""
    return f"{show(pair)} is not a pair of seeds; write [data seed, training seed], such as [0, 0]"


class Sweep(Settings):
    """What sweep.yaml contains. An arm changes settings of any step; `common` those of all arms."""

    base: Text = Field(description="study whose parameters the arms change")
    steps: Annotated[list[Text], Field(min_length=1)]
    seeds: Annotated[list[Annotated[list[int], valid_by(_check_pair)]], Field(min_length=1)]
    pairs: dict[Text, int] = Field({}, description="pairs of seeds of an arm; without it, all")
    common: Changes = Field({}, description="changes of every arm")
    arms: Annotated[dict[Annotated[str, valid_by(_check_arm_name)], Changes], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One arm with one pair of seeds; `params`: the parameters of its steps, by step."""

    arm: str
    data_seed: int  # of the first step
    training_seed: int  # of the later steps
    params: Changes

    @property
    def name(self) -> str:
        """The name of the run, and of the folder of its later steps, such as raw_d0_t0."""
        return f"{self.arm}_d{self.data_seed}_t{self.training_seed}"

    @property
    def seeds(self) -> tuple[int, int]:
        """The pair of seeds."""
        return self.data_seed, self.training_seed

    @property
    def studies(self) -> list[str]:
        """The studies that its steps write to: that of the first step, that of the later steps."""
        return list(dict.fromkeys(params["study"] for params in self.params.values()))

    @property
    def folders(self) -> dict[str, Path]:
        """The result folder of each step, by step; it exists once the step is complete."""
        outputs = root() / "outputs"
        return {step: outputs / params["study"] / step for step, params in self.params.items()}


def is_sweep(study: str) -> bool:
    """Return whether a study is a sweep."""
    return "/" not in study and (root() / "params" / study / SWEEP_FILE).is_file()


def list_runs(sweep: str) -> list[SweepRun]:
    """Return the runs of a sweep: all arms with the first pair of seeds, then with the second.

    Raises ParamsError with every problem of sweep.yaml, one line each, or for no such sweep.
    """
    list_params_files(sweep)
    if not is_sweep(sweep):
        others = filter(is_sweep, list_studies())
        raise ParamsError(f"params/{sweep}/{SWEEP_FILE}: no such file{nearest(sweep, others)}")
    files = [*root().glob("params/*/*.yaml"), *root().glob("notebooks/*.ipynb")]
    stats = ((str(file), file.stat()) for file in sorted(files))
    return [*_read_runs(sweep, tuple((name, s.st_mtime_ns, s.st_size) for name, s in stats))]


def find_arms(runs: Iterable[SweepRun]) -> dict[str, str]:
    """Return the arm of each study of these runs: that in its name, also if arms share it."""
    studies = (study for run in runs for study in run.studies)
    return {study: study.partition("/")[2].rpartition("_d")[0] for study in studies}


def load_run_params(study: str, step: str) -> dict[str, Any]:
    """Return the parameters of a step of a run, <sweep>/<run>; `study` in them names its folder.

    The first step of raw_d0_t0 is that of raw_d0. Raises ParamsError for a run or step that the
    sweep does not have.
    """
    sweep, _, name = study.partition("/")
    runs = list_runs(sweep)
    matching = [run for run in runs if name == run.name or study in run.studies]
    if not matching:
        names = dict.fromkeys(s.partition("/")[2] for run in runs for s in run.studies)
        raise ParamsError(f"{sweep} has no run {name}{nearest(name, names)}")
    if step not in matching[0].params:
        raise ParamsError(f"{sweep} has no step {step}{nearest(step, matching[0].params)}")
    return matching[0].params[step]


def list_run_steps(study: str) -> list[str]:
    """Return the steps whose results are in the folder of a run, <sweep>/<run>; [] for no run."""
    runs = list_runs(study.partition("/")[0])
    steps = (s for run in runs for s, params in run.params.items() if params["study"] == study)
    return sorted(set(steps))


def find_sweep_inputs(params: dict[str, Any]) -> list[str]:
    """Return the result folders, root-relative, of all runs of the sweeps that a step reads.

    Such a step names them in settings called `sweep` or `..._sweep`; "" means none. Of a sweep in
    `other_points`, it reads the results of the final step. Raises ParamsError for a sweep that
    cannot be read.
    """
    places: list[str] = []
    for name, point in (params.get("other_points") or {}).items():
        other = str(point).partition("/")[0]
        try:
            places += (f"outputs/{other}/{file.stem}" for file in list_params_files(other))
        except ParamsError as error:
            raise ParamsError(f"other_points.{name}: {error}") from None
    for name, sweep in params.items():
        if f"_{name}".endswith("_sweep") and isinstance(sweep, str) and sweep:
            try:
                runs = list_runs(sweep)
            except ParamsError as error:
                raise ParamsError(f"{name}: {error}") from None
            places += (f"outputs/{p['study']}/{s}" for r in runs for s, p in r.params.items())
    return sorted(set(places))


# ------------------------------------------------------------------------------- the expansion


@lru_cache(maxsize=32)
def _read_runs(sweep: str, _: tuple[Any, ...]) -> list[SweepRun]:
    """Read sweep.yaml; the second argument changes when a file changes that decides the result."""
    source = f"params/{sweep}/{SWEEP_FILE}"
    values = read_yaml(root() / source)
    problems = Sweep.check(values, "a sweep")
    wrong = {re.split(r"[.:[ ]", problem)[0] for problem in problems}
    spec = Sweep.model_construct(**EMPTY | {k: v for k, v in values.items() if k not in wrong})
    base, base_problems = _load_base(spec)
    arms = {
        arm: {
            s: base[s] | spec.common.get(s, {}) | changes.get(s, {})
            for s in spec.steps
            if s in base
        }
        for arm, changes in spec.arms.items()
    }
    problems += [*_check_base(spec), *_check_changes(spec, arms)]
    problems += [] if problems or base_problems else _check_arms(spec, arms)
    if problems or base_problems:
        lines = [f"{source}: {problem}" for problem in problems]
        raise ParamsError("\n".join([*lines, *base_problems]))
    return _expand(sweep, spec, arms)


def _expand(sweep: str, spec: Sweep, arms: dict[str, Changes]) -> list[SweepRun]:
    first, shared, runs = find_data_step(), {}, []
    steps = "|".join(map(re.escape, spec.steps))
    pattern = re.compile(rf"(?<![^@])outputs/{re.escape(spec.base)}/({steps})(?=[/.]|$)")
    for number, (data_seed, training_seed) in enumerate(spec.seeds):
        for arm, changed in arms.items():
            if number >= spec.pairs.get(arm, len(spec.seeds)):
                continue
            owner = shared.setdefault(key_hash(changed.get(first)), arm)
            run = SweepRun(arm, data_seed, training_seed, {})
            studies = dict.fromkeys(spec.steps, f"{sweep}/{run.name}")
            studies |= {first: f"{sweep}/{owner}_d{data_seed}"} if first in studies else {}
            for step in sorted(studies):
                seed = data_seed if step == first else training_seed
                own = {"study": studies[step], "seed": seed}
                names = changed[step].keys() & own
                params = _replace_paths(changed[step], pattern, studies)
                run.params[step] = params | {name: own[name] for name in names}
            runs.append(run)
    # an interrupted sweep has complete pairs of its main arms; the order decides no owner
    return sorted(runs, key=lambda run: run.arm in spec.pairs)


def _replace_paths(value: Any, pattern: re.Pattern[str], studies: dict[str, str]) -> Any:
    """Return a value with the run's own studies in the paths of the base study's steps."""
    if isinstance(value, str):
        return pattern.sub(lambda match: f"outputs/{studies[match[1]]}/{match[1]}", value)
    if isinstance(value, list):
        return [_replace_paths(item, pattern, studies) for item in value]
    if isinstance(value, dict):
        pairs = value.items()
        replaced = ((_replace_paths(key, pattern, studies), item) for key, item in pairs)
        return {key: _replace_paths(item, pattern, studies) for key, item in replaced}
    return value


# ---------------------------------------------------------------------------------- the checks
# Keys that can be read are checked although others cannot: one message has all problems.


def _load_base(spec: Sweep) -> tuple[Changes, list[str]]:
    """Return the parameters of the base study by step, and the problems of its files."""
    params, problems = {}, []
    for step in _list_base_steps(spec.base):
        try:
            params[step] = load_params(spec.base, step)
        except ParamsError as error:
            problems += str(error).splitlines() if step in spec.steps else []
    return params, problems


def _list_base_steps(base: str) -> list[str]:
    return [file.stem for file in list_params_files(base)] if base in list_studies() else []


def _check_base(spec: Sweep) -> Iterator[str]:
    available = _list_base_steps(spec.base)
    if spec.base and (not available or is_sweep(spec.base)):
        others = [study for study in list_studies() if not is_sweep(study)]
        yield f"base: {show(spec.base)} is not an ordinary study{nearest(spec.base, others)}"
        return
    for step in spec.steps if available else ():
        if step not in available:
            yield f"steps: {spec.base} has no step {step}{nearest(step, available)}"


def _check_changes(spec: Sweep, arms: dict[str, Changes]) -> Iterator[str]:
    """Yield steps and settings that do not exist, and values that a step does not accept."""
    steps = spec.steps
    places = {"common": spec.common} | {f"arms.{arm}": spec.arms[arm] for arm in spec.arms}
    for place, changes in places.items():
        for step, settings in changes.items():
            if step not in steps:
                yield f"{place}.{step}: not among the steps of this sweep{nearest(step, steps)}"
            for name in sorted({"study", "seed"} & settings.keys()):
                remedy = "seeds of this file" if name == "seed" else "sweep"
                yield f"{place}.{step}.{name}: set by the {remedy}; delete it"
    for step in steps:
        problems: dict[str, list[str]] = {}  # problem: the arms that have it
        for arm, params in arms.items():
            for problem in check_params(step, params[step]) if step in params else ():
                problems.setdefault(problem, []).append(arm)
        for problem, names in problems.items():
            name = re.split(r"[.:[ ]", problem)[0]
            own = [arm for arm in arms if name in spec.arms[arm].get(step, {})]
            if name in spec.common.get(step, {}) and names == [
                arm for arm in arms if arm not in own
            ]:
                yield f"common.{step}.{problem}"
            else:
                yield from (f"arms.{arm}.{step}.{problem}" for arm in names)


def _check_arms(spec: Sweep, arms: dict[str, Changes]) -> Iterator[str]:
    """Yield what would make two runs equal, and a step between two others that is missing."""
    equal: dict[str, str] = {}
    for arm, params in arms.items():
        other = equal.setdefault(key_hash(params), arm)
        if other != arm:
            yield f"arms.{arm}: the same parameters as {other}; change a setting, or delete one"
    most = len(spec.seeds)
    for arm, count in spec.pairs.items():
        if arm not in arms:
            yield f"pairs.{arm}: no such arm{nearest(arm, arms)}"
        elif not 1 <= count <= most:
            yield f"pairs.{arm}: {count}, and seeds has {most} pairs; write 1 to {most}"
    first = find_data_step()
    uses = (first in spec.steps, any(step != first for step in spec.steps))
    pairs: dict[tuple[int, ...], list[int]] = {}
    for pair in spec.seeds:
        used = tuple(seed for seed, is_used in zip(pair, uses, strict=True) if is_used)
        if (other := pairs.setdefault(used, pair)) != pair:
            unused = "data" if uses[1] else "training"
            yield f"seeds: {pair} repeats {other}: these steps have no {unused} seed; delete one"
    yield from dict.fromkeys(_find_missing_steps(spec.base, arms))


def _find_missing_steps(base: str, arms: dict[str, Changes]) -> Iterator[str]:
    """Yield steps of the base study that read a step of the sweep and are read by another one.

    Without them, every arm would use the base study's results.
    """
    for params in arms.values():
        for step, settings in params.items():
            for other in sorted(_find_steps(settings, base) - params.keys()):
                inputs = _find_steps(load_params(base, other), base) & params.keys()
                if inputs:
                    text = f"it reads {min(inputs)}, and {step} reads it"
                    yield f"steps: {other} is missing: {text}; add it"


def _find_steps(params: dict[str, Any], study: str) -> set[str]:
    """Return the steps of a study whose results are named in these parameters."""
    texts = (text.rpartition("@")[2] for _, _, text in iter_texts(params, ""))
    producers = filter(None, map(find_producer, texts))
    available = _list_base_steps(study)
    return {step for name, step in producers if name == study and step in available}
