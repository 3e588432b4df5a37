"""Whether this machine can run a study: one line per check, with what to do.

Nothing is changed or downloaded. Requests to the hub have a short timeout and use the stored token,
if there is one. There is no login, and no token is printed. A teacher on a server gets one request
of about 1,000 tokens, with the client of a run.
"""

import asyncio
import importlib.metadata
import itertools
import os
import platform
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil
from huggingface_hub import get_token

from clinical_camel import dbke, estimate, eval_fewshot, models, note_synthesis, sft_qlora
from clinical_camel.core.base_models import REGISTERED, check_fetched
from clinical_camel.core.paths import root
from clinical_camel.core.settings import Settings
from clinical_camel.dbke import trial
from clinical_camel.dbke.settings import TeacherSettings
from clinical_camel.estimate import speed
from clinical_camel.estimate.disks import Disk, list_disks
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.runner.jobs import Job
from clinical_camel.teachers import judge
from clinical_camel.teachers.client import Client
from clinical_camel.teachers.probe import Trial, probe_endpoint
from clinical_camel.teachers.registry import load_language_model
from clinical_camel.teachers.settings import JudgeSettings, Local, OpenAI, Overlap
from clinical_camel.teachers.teacher import Teacher

GB = 10**9
HUB = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
TIMEOUT = 5.0  # seconds
SPARE = 2 * GB  # of memory and of disk that should stay free
DIALOGUE = [  # two exchanges: both replies must end in an end token with loss
    {"role": "user", "content": "What treats gout?"},
    {"role": "assistant", "content": "Allopurinol."},
    {"role": "user", "content": "And asthma?"},
    {"role": "assistant", "content": "Salbutamol."},
]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `status`: ok, warning or problem; `remedy`: what to do, or ""."""

    status: str
    name: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.status:<8} {self.name:<12} {self.text}{remedy}"


Findings = Iterator[Finding]


def print_findings(jobs: list[Job], offline: bool = False) -> int:
    """Print findings; return 1 if one is a problem. `offline`: no request to hub or endpoint."""
    has_problem = False
    for finding in check_machine(jobs, offline):
        print(finding, flush=True)
        has_problem |= finding.status == "problem"
    return int(has_problem)


def check_machine(jobs: list[Job], offline: bool) -> Findings:
    """Yield all findings, in the order in which they would stop a run."""
    yield from check_packages()
    yield from check_threads(os.environ)
    yield from check_gpus()
    name, gpu_free = find_gpu()
    costs = estimate.estimate_study(jobs, machine=name)
    yield from check_space(costs, list_disks(costs), psutil.virtual_memory().available, gpu_free)
    settings = [job.settings for job in jobs]
    with_model = sft_qlora.Recipe | eval_fewshot.Design | note_synthesis.NoteTask
    bases = dict.fromkeys((s.model, s.chat_template) for s in settings if isinstance(s, with_model))
    for model, template in bases:
        yield from check_template(model, template)
    teachers = [s.teacher for s in settings if isinstance(s, dbke.Synthesis)]
    for teacher in teachers:
        yield from check_teacher(teacher, offline)
    judges = list_judges(settings)
    for settings_of_judge in judges:
        yield from check_judge(settings_of_judge, offline)
    for task in settings:
        if isinstance(task, note_synthesis.NoteTask) and task.server:
            yield check_server(task, any("download" in cost.disk for cost in costs))
    local = {s.model for s in [*teachers, *judges] if isinstance(s, Local)}
    yield from check_fetches(sorted(local | {model for model, _ in bases}))
    yield from check_hub(sorted(local | {model for model, _ in bases}), offline)


# ---------------------------------------------------------------------- Python and packages


def check_packages() -> Findings:
    """Yield findings on Python and the packages of requirements.lock."""
    version = platform.python_version()
    is_new = sys.version_info >= (3, 11)
    remedy = "" if is_new else "install 3.11 or newer"
    yield Finding("ok" if is_new else "problem", "Python", version, remedy)
    lock = root() / "requirements.lock"
    if not lock.is_file():
        yield Finding("warning", "packages", "no requirements.lock here", "use a clone")
        return
    locked = re.findall(
        r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.!+-]+)", lock.read_text(encoding="utf-8"), re.MULTILINE
    )
    file = root() / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""  # none outside a clone
    dependencies = tomllib.loads(text).get("project", {}).get("dependencies", [])
    direct = {_normalize(re.split(r"[=\[ ;<>!~]", line)[0]) for line in dependencies}
    installed, missing, other = list_installed(), [], []
    for name, version in locked:
        current = installed.get(_normalize(name), "")
        if not current and _normalize(name) in direct:  # one that only extras need may be missing
            missing.append(f"{name} is not installed")
        elif current and current.partition("+")[0] != version:  # 2.13.0+cpu counts as 2.13.0
            other.append(f"{name} {current}, the lock has {version}")
    for status, texts in (("problem", missing), ("warning", sorted(other))):
        if texts:
            more = f" and {len(texts) - 6} more" if len(texts) > 6 else ""
            remedy = "pip install -r requirements.lock"
            yield Finding(status, "packages", f"{', '.join(texts[:6])}{more}", remedy)
    if not missing and not other:
        yield Finding("ok", "packages", "as in requirements.lock")


def list_installed() -> dict[str, str]:
    """Return the version of every installed package, by normalized name."""
    return {_normalize(d.name): d.version for d in importlib.metadata.distributions() if d.name}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def check_threads(environment: Mapping[str, str]) -> Findings:
    """Yield a finding on OpenMP threads that spin while they wait (`clinical_camel.__init__`)."""
    policy = environment.get("OMP_WAIT_POLICY", "")
    if policy.lower() == "passive":
        count = environment.get("OMP_NUM_THREADS", "not set")
        yield Finding("ok", "threads", f"OMP_WAIT_POLICY=passive, OMP_NUM_THREADS={count}")
    else:
        remedy = "export OMP_WAIT_POLICY=passive; training on a CPU was 6 times slower without"
        yield Finding("warning", "threads", f"OMP_WAIT_POLICY={policy or 'not set'}", remedy)


# ------------------------------------------------------------------------------------- GPUs


def check_gpus() -> Findings:
    """Yield findings on the GPUs that torch sees: number, free memory, bfloat16."""
    import torch

    if not torch.cuda.is_available():
        build = f"torch {torch.__version__} for CUDA {torch.version.cuda or 'none'}"
        remedy = "enough for the embedded study; larger ones need a GPU, its driver, torch for CUDA"
        yield Finding("warning", "GPU", f"none that torch can use ({build})", remedy)
        return
    if (count := torch.cuda.device_count()) > 1:  # transformers' Trainer would use DataParallel
        remedy = "choose one: export CUDA_VISIBLE_DEVICES=0 before the runner or JupyterLab starts"
        text = f"{count} are visible: the trainer would split every batch over all of them"
        yield Finding("problem", "GPUs", text, remedy)
    free, total = torch.cuda.mem_get_info(0)
    major, minor = torch.cuda.get_device_capability(0)
    name = torch.cuda.get_device_name(0)
    facts = f"{name}, CUDA {torch.version.cuda}, compute capability {major}.{minor}"
    yield Finding("ok", "GPU", f"{facts}, {free / GB:.1f} of {total / GB:.1f} GB free")
    if free < 0.9 * total:
        remedy = "nvidia-smi shows the process that uses them"
        yield Finding("warning", "GPU memory", f"{(total - free) / GB:.1f} GB are in use", remedy)
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        remedy = "computations use float16, which may overflow; use an A100 or newer"
        yield Finding("warning", "bfloat16", "not supported by this GPU", remedy)


def find_gpu() -> tuple[str, int]:
    """Return the profile of the GPU (the nearest if unknown) and its free bytes, or ("", 0)."""
    import torch

    if not torch.cuda.is_available():
        return "", 0
    free, total = torch.cuda.mem_get_info(0)
    return speed.choose_nearest(torch.cuda.get_device_name(0), total), free


# ------------------------------------------------------------------------- disk and memory


def check_space(costs: list[estimate.Cost], disks: list[Disk], memory: int, gpu: int) -> Findings:
    """Yield findings on free disk, memory and GPU memory, compared with the estimate."""
    for disk in disks:
        yield _compare(disk.name, disk.free, disk.need, disk.remedy)
    need = max((sum(c.memory.values()) for c in costs if c.machine not in speed.GPUS), default=0)
    remedy = "close other programs, or lower batch_size, max_length and the token budgets"
    yield _compare("memory", memory, need, remedy)
    for cost in costs:
        size = sum(cost.memory.values())
        if cost.machine in speed.GPUS and cost.base and size > gpu:
            remedy = "lower batch_size or max_length, set gradient_checkpointing_layers: -1, "
            remedy += "or use a larger GPU"
            text = f"{cost.step} needs {size / GB:.1f} GB, {gpu / GB:.1f} GB are free"
            yield Finding("problem", "GPU memory", text, remedy)
    folder = os.environ.get("HF_HOME", "") or "~/.cache/huggingface (HF_HOME is not set)"
    yield Finding("ok", "hub cache", folder)


def _compare(name: str, free: int, need: int, remedy: str) -> Finding:
    text = f"{free / GB:.1f} GB free, the study needs {need / GB:.1f}"
    status = "problem" if free < need else "warning" if free < need + SPARE else "ok"
    return Finding(status, name, text, remedy if status != "ok" else "")


# ------------------------------------------------------------------------- template and hub


def check_template(model: str, chat_template: str) -> Findings:
    """Yield findings on the chat template with the tokenizer of the base model."""
    try:
        tokenizer = models.load_tokenizer(model, chat_template)
        row = models.tokenize_dialogue(tokenizer, DIALOGUE, "assistant")
    except models.ModelError as error:
        yield Finding("problem", "template", str(error))
        return
    except OSError:
        text = f"not checked: no tokenizer of {model} on this machine"
        yield Finding("warning", "template", text)
        return
    problems = list(check_loss_mask(tokenizer, row))
    for problem in problems:
        yield Finding("problem", "template", f"{model}: {problem}", "name another chat_template")
    if not problems:
        text = f"{model}: one BOS, every reply ends in a target end token, padding has no loss"
        yield Finding("ok", "template", text)


def check_loss_mask(tokenizer: Any, row: dict[str, list[int]]) -> Iterator[str]:
    """Yield what a model would learn wrongly from this row, a dialogue of two replies."""
    ids, labels = row["input_ids"], row["labels"]
    bos = tokenizer.bos_token_id
    # No BOS is correct if the tokenizer adds none (`load_tokenizer` checks that). Llama 2 has one
    # per exchange. Two in a row are always wrong.
    if bos not in (None, tokenizer.eos_token_id) and (bos, bos) in itertools.pairwise(ids):
        yield f"{ids.count(bos)} BOS tokens in a dialogue, not one"
    ends = [
        label
        for label, after in zip(labels, [*labels[1:], models.IGNORE_INDEX], strict=True)
        if label != models.IGNORE_INDEX and after == models.IGNORE_INDEX
    ]
    if len(ends) != 2:
        yield f"{len(ends)} spans have loss, not the 2 replies"
    for end in ends:
        if end != tokenizer.eos_token_id:
            yield f"a reply ends in {tokenizer.convert_ids_to_tokens(end)!r}, not the end token"
    pad = tokenizer.pad_token_id
    if pad in labels and pad != tokenizer.eos_token_id:
        yield f"the pad token {tokenizer.pad_token!r} has loss"


# ------------------------------------------------------------------------------------ teacher


def check_teacher(settings: TeacherSettings, offline: bool = False) -> Findings:
    """Yield findings on the key, ledger, model or server that a teacher needs."""
    try:
        teacher = dbke.load_teacher(settings)
    except ValueError as error:
        yield Finding("problem", "teacher", str(error))
        return
    yield from _check_language_model("teacher", settings, teacher, trial.build_trial, offline)


def list_judges(settings: Iterable[Settings]) -> list[JudgeSettings]:
    """Return the judges that the steps open: step 07 only one that `rankers` or `gold` names."""
    with_judge = [s for s in settings if hasattr(s, "judge")]
    return [s.judge for s in with_judge if not isinstance(s, RewardAndRl) or s.uses_judge]


def check_judge(settings: JudgeSettings, offline: bool = False) -> Findings:
    """Yield findings on the key, ledger, model or server that a judge needs."""
    if isinstance(settings, Overlap):
        yield Finding("ok", "judge", "overlap, a rule: no language model")
        return
    try:
        teacher = load_language_model(settings, setting="judge")
    except ValueError as error:
        yield Finding("problem", "judge", str(error))
        return
    yield from _check_language_model("judge", settings, teacher, judge.build_trial, offline)


def _check_language_model(
    place: str, settings: Any, teacher: Teacher, build_trial: Callable[[], Trial], offline: bool
) -> Findings:
    """Yield findings on a teacher that could be loaded: an endpoint gets one small request."""
    if not isinstance(settings, OpenAI):
        yield Finding("ok", place, f"{settings.kind} {teacher.model}".strip())
        return
    if teacher.remote and offline:
        yield Finding("ok", place, "endpoint not checked: HF_HUB_OFFLINE is set")
    else:
        probe = probe_endpoint(settings, build_trial())
        yield Finding(probe.status, place, probe.text)
    yield Finding("ok", place, describe_limits(settings))


def check_server(task: note_synthesis.NoteTask, must_download: bool = False) -> Finding:
    """Return whether the server of step 04 serves its models.

    A warning, unchecked, before the base is downloaded (`must_download`) or an adapter trained.
    """
    unchecked = Finding("warning", "notes", f"{task.server} not checked: step 04 has no models yet")
    if must_download:  # reading its tokenizer would download the weights
        return unchecked
    try:
        options = (task.model, task.adapters, task.quantize, task.chat_template)
        llms = models.load_without_weights(*options)
    except (models.ModelError, OSError):
        return unchecked
    try:
        names = note_synthesis.list_models(task, llms)
    except models.ModelError as error:
        problem, _, remedy = str(error).rpartition("; ")
        return Finding("problem", "notes", problem, remedy)
    return Finding("ok", "notes", f"{task.server} serves {', '.join(names)}")


def describe_limits(settings: OpenAI) -> str:
    """Return in words what limits the spending at an endpoint."""
    tokens = f"token_cap {settings.token_cap:,}" if settings.token_cap else "no token_cap"
    if settings.price_in or settings.price_out:
        return f"money_cap {settings.money_cap}, {tokens}"
    return f"no money is counted, because both prices are 0.0; {tokens}"


# ------------------------------------------------------------------------------- base models


def check_fetches(bases: list[str]) -> Findings:
    """Yield a problem for each registered model that is not on this machine."""
    for base in bases:
        if not (problem := check_fetched(base)):
            continue
        command = problem.partition(": ")[2]
        yield Finding("problem", "base", f"{base} is not on this machine", f"run {command}")


def check_hub(bases: list[str], offline: bool = False) -> Findings:
    """Yield findings on the hub, and on the access to each base model that is not local."""
    wanted = [base for base in bases if base not in REGISTERED and not (root() / base).is_dir()]
    if offline:
        yield Finding("ok", "hub", "not checked: HF_HUB_OFFLINE is set")
        return
    token = get_token() or ""
    if not send_request("HEAD", HUB, token)[0]:
        remedy = f"needed for {', '.join(wanted)}" if wanted else ""
        yield Finding("warning" if wanted else "ok", "hub", "not checked: no network", remedy)
        return
    yield Finding("ok", "hub", f"{HUB} answers")
    for base in wanted:
        status, _ = send_request("HEAD", f"{HUB}/{base}/resolve/main/config.json", token)
        yield interpret_access(base, status)


def interpret_access(base: str, status: int) -> Finding:
    """Return the finding on the hub's answer to a request for a file of this base model."""
    if status in (401, 403):
        remedy = f"accept its licence at {HUB}/{base}, then `hf auth login` or set HF_TOKEN"
        return Finding("problem", "base", f"{base}: gated, no access from this machine", remedy)
    if status == 404:
        return Finding("problem", "base", f"{base}: not on the hub", f"check {HUB}/{base}")
    if 200 <= status < 400:
        return Finding("ok", "base", f"{base} can be downloaded")
    return Finding(
        "warning", "base", f"{base}: not checked, the hub answered {status or 'nothing'}"
    )


def send_request(method: str, address: str, token: str) -> tuple[int, bytes]:
    """Return status and body (at most a megabyte); status 0 if nothing answers in TIMEOUT."""

    async def send() -> tuple[int, bytes]:
        async with Client(token, TIMEOUT) as client:
            answer = await client.send(method, address)
            return answer.status, answer.body

    return asyncio.run(send())
