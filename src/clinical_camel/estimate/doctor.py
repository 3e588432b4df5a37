"""Is this machine fit to run a study? A line a check: ok, warning or problem, and what to do.

It only looks. The hub is asked with a short timeout and the token that is already stored, if any:
nothing is downloaded, nobody is asked to log in, and no token is printed.
"""

import http.client
import importlib.metadata
import itertools
import json
import os
import platform
import re
import shutil
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil
from huggingface_hub import get_token

from clinical_camel import dbke, estimate, models
from clinical_camel.core.paths import root
from clinical_camel.dbke.teachers.openai import KEY
from clinical_camel.runner.jobs import Job

GB = 10**9
HUB = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
TIMEOUT = 5.0  # seconds
SPARE = 2 * GB  # of memory and of disk that a study should leave free
ASKED = [  # a conversation of two exchanges: both replies must end in an end token that is trained
    {"role": "user", "content": "What treats gout?"},
    {"role": "assistant", "content": "Allopurinol."},
    {"role": "user", "content": "And asthma?"},
    {"role": "assistant", "content": "Salbutamol."},
]


@dataclass(frozen=True, slots=True)
class Finding:
    """`status`: ok, warning or problem; `remedy`: what to do, "" when there is nothing."""

    status: str
    name: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.status:<8} {self.name:<12} {self.found}{remedy}"


Findings = Iterator[Finding]


def show(jobs: list[Job], offline: bool = False) -> int:
    """Print every finding as it comes; 1 if one is a problem. `offline`: the hub is not asked."""
    worst = 0
    for finding in examine(jobs, offline):
        print(finding, flush=True)
        worst |= finding.status == "problem"
    return int(worst)


def examine(jobs: list[Job], offline: bool) -> Findings:
    """Everything, in the order in which it would stop a run."""
    yield from packages()
    yield from threads(os.environ)
    yield from gpus()
    name, gpu_free = gpu_at_hand()
    costs = estimate.study_costs(jobs, machine=name)
    disk, memory = shutil.disk_usage(root()).free, psutil.virtual_memory().available
    yield from room(costs, disk, memory, gpu_free)
    for model, template in _bases(jobs):
        yield from template_of(model, template)
    teachers = [job.params for job in jobs if "teacher" in job.params]
    for params in teachers:
        yield from teacher_of(params, offline)
    local = {params["teacher_model"] for params in teachers if params["teacher"] == "local"}
    yield from hub(sorted(local | {model for model, _ in _bases(jobs)}), offline)


def _bases(jobs: list[Job]) -> list[tuple[str, str]]:
    """Each base of a study with its chat template, once."""
    named = [
        (job.params["model"], job.params["chat_template"]) for job in jobs if "model" in job.params
    ]
    return list(dict.fromkeys(named))


# ---------------------------------------------------------------------- Python and packages


def packages() -> Findings:
    """Python and every package of requirements.lock that is a part of the study."""
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    yield Finding(
        "ok" if good else "problem", "Python", version, "" if good else "install 3.11 or newer"
    )
    lock = root() / "requirements.lock"
    if not lock.is_file():
        yield Finding("warning", "packages", "no requirements.lock here", "work in a clone")
        return
    differ = differences(pinned(lock.read_text(encoding="utf-8")), installed())
    missing = [text for text in differ if text.endswith("is not installed")]
    for status, found in (("problem", missing), ("warning", sorted(set(differ) - set(missing)))):
        if found:
            more = f" and {len(found) - 6} more" if len(found) > 6 else ""
            remedy = "pip install -r requirements.lock"
            yield Finding(status, "packages", f"{', '.join(found[:6])}{more}", remedy)
    if not differ:
        yield Finding("ok", "packages", "as in requirements.lock")


def pinned(text: str) -> dict[str, str]:
    """Version by name, from the lines `name==version` of a lock file."""
    return dict(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([\w.!+-]+)", text, re.MULTILINE))


def installed() -> dict[str, str]:
    """Version by normalised name of everything that is installed."""
    return {_plain(d.name): d.version for d in importlib.metadata.distributions() if d.name}


def differences(wanted: dict[str, str], have: dict[str, str]) -> list[str]:
    """What differs from the lock: a build such as 2.13.0+cpu is that version. Packages that only
    extras need (the harness, serving) may be absent; a missing direct dependency may not."""
    direct = {_plain(re.split(r"[=\[ ;<>!~]", line)[0]) for line in _direct()}
    found = []
    for name, version in wanted.items():
        here = have.get(_plain(name))
        if here is None and _plain(name) in direct:
            found.append(f"{name} is not installed")
        elif here is not None and here.partition("+")[0] != version:
            found.append(f"{name} {here}, the lock has {version}")
    return found


def _direct() -> list[str]:
    """The dependencies of pyproject.toml, where the project is a clone."""
    file = root() / "pyproject.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return tomllib.loads(text).get("project", {}).get("dependencies", [])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def threads(environment: Any) -> Findings:
    """OpenMP threads that spin while they wait (`clinical_camel.__init__`)."""
    policy = environment.get("OMP_WAIT_POLICY", "")
    if policy.lower() == "passive":
        yield Finding("ok", "threads", f"OMP_WAIT_POLICY=passive, {_count(environment)}")
    else:
        remedy = "export OMP_WAIT_POLICY=passive; training on a CPU was 6 times slower without"
        yield Finding("warning", "threads", f"OMP_WAIT_POLICY={policy or 'not set'}", remedy)


def _count(environment: Any) -> str:
    return f"OMP_NUM_THREADS={environment.get('OMP_NUM_THREADS', 'not set')}"


# ------------------------------------------------------------------------------------- GPUs


def gpus() -> Findings:
    """What torch sees: driver, compute capability, bfloat16, free memory; one GPU, not several."""
    import torch

    if not torch.cuda.is_available():
        built = f"torch {torch.__version__} for CUDA {torch.version.cuda or 'none'}"
        remedy = "enough for the embedded study; for more, a GPU, its driver, and torch for CUDA"
        yield Finding("warning", "GPU", f"none that torch can use ({built})", remedy)
        return
    yield from visible(torch.cuda.device_count())
    free, total = torch.cuda.mem_get_info(0)
    major, minor = torch.cuda.get_device_capability(0)
    name = torch.cuda.get_device_name(0)
    facts = f"{name}, CUDA {torch.version.cuda}, compute capability {major}.{minor}"
    yield Finding("ok", "GPU", f"{facts}, {free / GB:.1f} of {total / GB:.1f} GB free")
    if free < 0.9 * total:
        remedy = "another process holds the rest: nvidia-smi names it"
        yield Finding("warning", "GPU memory", f"{(total - free) / GB:.1f} GB are taken", remedy)
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        remedy = "the study computes in float16 then, which may overflow; rent an A100 or newer"
        yield Finding("warning", "bfloat16", "not supported by this GPU", remedy)


def visible(count: int) -> Findings:
    """With several GPUs in view, transformers' Trainer splits each batch by DataParallel."""
    if count > 1:
        remedy = "pin one: export CUDA_VISIBLE_DEVICES=0 before the runner or JupyterLab starts"
        found = f"{count} in view: the trainer would spread each batch over all of them"
        yield Finding("problem", "GPUs", found, remedy)


def gpu_at_hand() -> tuple[str, int]:
    """The machine of `planning` that this GPU is likest, and its free bytes; ("", 0) without."""
    import torch

    if not torch.cuda.is_available():
        return "", 0
    name = torch.cuda.get_device_name(0).lower()
    known = next((known for known in estimate.MACHINES if known in name), "h100")
    return known, torch.cuda.mem_get_info(0)[0]


# ------------------------------------------------------------------------- disk and memory


def room(costs: list[estimate.Cost], disk: int, memory: int, gpu: int) -> Findings:
    """Free disk, memory and GPU memory against what the plan of the study says it needs."""
    need = sum(sum(cost.disk.values()) for cost in costs)
    remedy = "free some, or link outputs/ and HF_HOME to a larger disk"
    yield _enough("disk", "free here", disk, need, remedy)
    need = max((sum(c.memory.values()) for c in costs if c.machine == "cpu"), default=0)
    remedy = "close other programs, or lower batch_size, max_length and token_budget"
    yield _enough("memory", "free", memory, need, remedy)
    for cost in costs:
        size = sum(cost.memory.values())
        if cost.machine != "cpu" and cost.base and size > gpu:
            remedy = "lower batch_size or max_length, set checkpointed_layers: -1, or rent more"
            found = f"{cost.step} needs {size / GB:.1f} GB, {gpu / GB:.1f} GB are free"
            yield Finding("problem", "GPU memory", found, remedy)
    place = os.environ.get("HF_HOME", "") or "~/.cache/huggingface (HF_HOME is not set)"
    yield Finding("ok", "hub cache", place)


def _enough(name: str, where: str, free: int, need: int, remedy: str) -> Finding:
    found = f"{free / GB:.1f} GB {where}, the plan needs {need / GB:.1f}"
    status = "problem" if free < need else "warning" if free < need + SPARE else "ok"
    return Finding(status, name, found, remedy if status != "ok" else "")


# ------------------------------------------------------------------------- template and hub


def template_of(model: str, chat_template: str) -> Findings:
    """The chat format on the base's own tokenizer: one BOS, replies closed, no padding trained."""
    try:
        tokenizer = models.load_tokenizer(model, chat_template)
        row = models.encode_dialogue(tokenizer, ASKED, "assistant")
    except models.ModelError as error:
        yield Finding("problem", "template", str(error))
        return
    except OSError:
        yield Finding("warning", "template", f"not checked: the tokenizer of {model} is not here")
        return
    wrong = list(template_problems(tokenizer, row))
    for found in wrong:
        yield Finding("problem", "template", f"{model}: {found}", "name another chat_template")
    if not wrong:
        found = f"{model}: one BOS, every reply ends in a trained end token, padding is not trained"
        yield Finding("ok", "template", found)


def template_problems(tokenizer: Any, row: dict[str, list[int]]) -> Iterator[str]:
    """What a model would learn wrongly from a dialogue of two replies that is encoded so."""
    ids, labels = row["input_ids"], row["labels"]
    bos = tokenizer.bos_token_id
    # None is right where the tokenizer adds none (`load_tokenizer` refuses the contrary), and one
    # for each exchange in Llama 2: wrong is a second one right behind the first.
    if bos not in (None, tokenizer.eos_token_id) and (bos, bos) in itertools.pairwise(ids):
        yield f"{ids.count(bos)} BOS tokens in a conversation, not one"
    ends = [
        label
        for label, after in zip(labels, [*labels[1:], models.IGNORE], strict=True)
        if label != models.IGNORE and after == models.IGNORE
    ]
    if len(ends) != 2:
        yield f"{len(ends)} stretches are trained, not the 2 replies"
    for end in ends:
        if end != tokenizer.eos_token_id:
            yield f"a reply ends in {tokenizer.convert_ids_to_tokens(end)!r}, not the end token"
    pad = tokenizer.pad_token_id
    if pad in labels and pad != tokenizer.eos_token_id:
        yield f"the pad token {tokenizer.pad_token!r} is trained"


# ------------------------------------------------------------------------------------ teacher


def teacher_of(params: Mapping[str, Any], offline: bool = False) -> Findings:
    """Key, recorded ledger or model that the teacher of step 01 needs; and what an endpoint says.

    It is asked for its list of models, which costs nothing.
    """
    name, model = params["teacher"], params["teacher_model"]
    try:
        teacher = dbke.load_teacher(name, dbke.settings_of(params))
    except ValueError as error:
        yield Finding("problem", "teacher", str(error))
        return
    if name != "openai":
        yield Finding("ok", "teacher", f"{name} {model}".strip())
    elif teacher.remote and offline:
        yield Finding("ok", "teacher", "endpoint not checked: HF_HUB_OFFLINE is set")
    else:
        key = os.environ.get(KEY, "")
        address = params["base_url"].rstrip("/") + "/models"
        yield endpoint(params["base_url"], model, *ask("GET", address, key))


def endpoint(base_url: str, model: str, status: int, body: bytes) -> Finding:
    """What an endpoint's list of models means; some serve more than they list."""
    if status in (401, 403):
        return Finding("problem", "teacher", f"{base_url} refuses the key in {KEY}")
    if not status:
        return Finding("problem", "teacher", f"{base_url} does not answer", "start the server")
    try:
        known = [str(entry["id"]) for entry in json.loads(body)["data"]]
    except (ValueError, TypeError, LookupError):
        known = []
    if model in known:
        return Finding("ok", "teacher", f"{base_url} has {model}")
    listed = ", ".join(known[:6]) or "none"
    found = f"{base_url} answers, and lists not {model} but {listed}"
    return Finding("warning", "teacher", found, "make sure that it has this teacher_model")


# ---------------------------------------------------------------------------------------- hub


def hub(bases: list[str], offline: bool = False) -> Findings:
    """Whether the hub answers, and lets this machine have the gated bases of the study."""
    wanted = [base for base in bases if base != "mini" and not (root() / base).is_dir()]
    if offline:
        yield Finding("ok", "hub", "not checked: HF_HUB_OFFLINE is set")
        return
    if not head(HUB):
        remedy = f"needed for {', '.join(wanted)}" if wanted else ""
        yield Finding("warning" if wanted else "ok", "hub", "not checked: no network", remedy)
        return
    yield Finding("ok", "hub", f"{HUB} answers")
    for base in wanted:
        yield access(base, head(f"{HUB}/{base}/resolve/main/config.json"))


def access(base: str, status: int) -> Finding:
    """What the hub's answer to a request for a file of this base means."""
    if status in (401, 403):
        remedy = f"accept its licence at {HUB}/{base}, then `hf auth login` or set HF_TOKEN"
        return Finding("problem", "base", f"{base}: gated, and not open to this machine", remedy)
    if status == 404:
        return Finding("problem", "base", f"{base}: not on the hub", f"look at {HUB}/{base}")
    if 200 <= status < 400:
        return Finding("ok", "base", f"{base} may be fetched")
    return Finding(
        "warning", "base", f"{base}: not checked, the hub answered {status or 'nothing'}"
    )


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: a token is never carried to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def head(address: str) -> int:
    """The status of a HEAD request with the stored token, if there is one; 0 without a network."""
    return ask("HEAD", address, get_token() or "")[0]


def ask(method: str, address: str, token: str) -> tuple[int, bytes]:
    """Status and body, at most a megabyte; 0 where nothing answers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=TIMEOUT) as answer:
            return answer.status, answer.read(10**6)
    except urllib.error.HTTPError as error:
        return error.code, b""
    except (OSError, ValueError, http.client.HTTPException):  # no network, no HTTP, a time-out
        return 0, b""
