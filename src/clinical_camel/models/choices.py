"""How a model may be loaded: closed sets for settings, and checks of folders without torch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from clinical_camel.core.base_models import REGISTERED, check_fetched, find_folder
from clinical_camel.core.paths import root
from clinical_camel.core.values import nearest, show
from clinical_camel.models.templates import TEMPLATES

QUANTIZE = ("", "nf4", "nf4_dequantized", "int8")
COMPUTE_DTYPES = ("auto", "bfloat16", "float32")
ATTENTION = ("", "sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3")
Quantize = Literal[QUANTIZE]
ComputeDtype = Literal[COMPUTE_DTYPES]
Attention = Literal[ATTENTION]
ChatTemplate = Literal[("", *TEMPLATES)]
_NAMES = " nor ".join(REGISTERED)
HUB_ID = re.compile(r"(?=.{1,96}$)(?!.*(--|\.\.))[A-Za-z0-9][\w.-]*/[\w.-]*\w", re.ASCII)


def check_model(model: str, chat_template: str, key: str = "model") -> Iterator[str]:
    """Yield every problem of a model's name or folder, one line each; `key` is its setting.

    A registered model may be missing: `plan` needs no weights, and `run` checks it.
    """
    if check_fetched(model):
        return
    folder = find_folder(model)
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            yield f"{key}: {model} has no .safetensors; other weight files are not opened"
        if not (folder / "config.json").is_file():
            yield f"{key}: {model} has no config.json; name the folder of a model"
        elif not chat_template and not _has_template(folder):
            templates = ", ".join(TEMPLATES)
            yield f"{key}: {model} has no chat template; set chat_template to one of {templates}"
    elif folder.exists() or not HUB_ID.fullmatch(model) or model.startswith("data/"):
        yield f"{key}: {model}: no such folder, and neither {_NAMES} nor a hub id (owner/name)"


def _has_template(folder: Path) -> bool:
    config = folder / "tokenizer_config.json"
    in_config = config.is_file() and '"chat_template"' in config.read_text(encoding="utf-8")
    return in_config or (folder / "chat_template.jinja").is_file()


def check_adapters(adapters: dict[str, str], baseline: str = "") -> Iterator[str]:
    """Yield every problem of named adapter folders, one line each.

    A folder under outputs/ may be missing: an earlier step creates it.
    """
    first: dict[str, str] = {}
    for name, text in adapters.items():
        if first.setdefault(text.rstrip("/"), name) != name:
            yield f"adapters.{name}: is the same model as {first[text.rstrip('/')]}; delete one"
        if text.endswith(".safetensors"):
            yield f"adapters.{name}: {text} is a file; name its folder"
        is_complete = (root() / text / "adapter_model.safetensors").is_file()
        if text and not is_complete and not text.startswith("outputs/"):
            yield f"adapters.{name}: no adapter_model.safetensors in {text}; name an adapter folder"
    if baseline and baseline not in adapters:
        yield f"baseline: {show(baseline)} is not in adapters{nearest(baseline, adapters)}"
