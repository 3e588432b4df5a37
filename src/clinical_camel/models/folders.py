"""Names of models as folders: shipped, local, or downloaded from the hub; and what identifies one.

A hub model becomes the folder of its snapshot, so that it passes the same gate as a local one.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from clinical_camel.core.base_models import REGISTERED, check_fetched, find_folder
from clinical_camel.core.hashing import hash_file
from clinical_camel.core.paths import root
from clinical_camel.models import gate
from clinical_camel.models.gate import ModelError
from clinical_camel.models.weights import DamagedFileError, hash_weights

TOKENIZER_FILES = ("*.json", "*.jinja", "*.txt", "*.model")  # of a hub repository
WEIGHT_FILES = (*TOKENIZER_FILES, "*.safetensors")
OTHER_FILES = ("*/*", "consolidated*", "*.fp16.*", "*.index.fp16.json")  # never downloaded


def locate(name: str) -> str:
    """Return the path of a registered model or of a folder under the project root, or a hub id.

    Raises ModelError for any other name and for a folder without .safetensors, and
    FileNotFoundError for a registered model that is not fetched or built yet.
    """
    if problem := check_fetched(name):
        raise FileNotFoundError(problem)
    folder = find_folder(name)
    if folder.is_dir():
        if not list(folder.glob("*.safetensors")):
            raise ModelError(f"{name}: has no .safetensors; other weight files are not opened")
        return str(folder)
    if name.count("/") != 1 or name.startswith(("outputs/", "data/")):
        raise ModelError(
            f"{name}: no such folder, and neither {' nor '.join(REGISTERED)} "
            "nor a hub id (owner/name)"
        )
    return name


def fetch(name: str, patterns: Sequence[str] = WEIGHT_FILES) -> Path:
    """Return the folder of a model; files of a hub model that match `patterns` are downloaded.

    Raises ModelError as `locate` does, and OSError for a hub model that cannot be downloaded.
    """
    place = locate(name)
    if Path(place).is_dir():
        return Path(place)
    try:
        folder = snapshot_download(
            place, allow_patterns=list(patterns), ignore_patterns=list(OTHER_FILES)
        )
    except (OSError, ValueError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()
        raise OSError(
            f"{name}: not on this machine, and the hub does not give it "
            f"({type(error).__name__}: {reason[0] if reason else ''}); check the name, the network "
            "and, for a model with terms, that you accepted them (hf auth login)"
        ) from error
    return Path(folder)


@contextlib.contextmanager
def explain(name: str, task: str) -> Iterator[None]:
    """Within this context, an error of a library becomes a ModelError with name and task.

    A lack of memory stays what it is, and a package that is not installed is named: the folder is
    not to blame.
    """
    try:
        yield
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except DamagedFileError as error:
        raise ModelError(f"{name}: {error}") from error
    except Exception as error:  # libraries raise errors of every kind for a damaged folder
        if "can't allocate memory" in str(error):
            raise
        text = " ".join(str(error).replace(f"{root()}/", "").split())[:300]
        package = re.search(r"pip install (?:-U )?['\"]?([\w.>=-]*\w)", text)
        if package or isinstance(error, ImportError):
            # transformers names tiktoken for every tokenizer.model; most are of sentencepiece
            names = package[1] if package else getattr(error, "name", None) or "it"
            names = names.replace("tiktoken", "sentencepiece protobuf tiktoken")
            raise ModelError(
                f"{name}: {task} needs a package that is not installed; pip install {names} "
                f"({text})"
            ) from error
        raise ModelError(
            f"{name}: {task} failed ({type(error).__name__}: {text}); the folder is damaged, or "
            f"transformers {transformers.__version__} cannot read it"
        ) from error


def require_model(name: str) -> Path:
    """Return the folder of a model that passed the gate, weights not read.

    Raises ModelError, and OSError for a hub model that cannot be downloaded.
    """
    folder = fetch(name)
    gate.require_no_problem(gate.check_model_folder(folder), name)
    require_no_remote_code(name, folder)
    return folder


def require_no_remote_code(name: str, folder: Path | None = None) -> None:
    """Raise ModelError if the model or tokenizer needs the Python code of its repository.

    Such code never runs here. A model that names code in `auto_map` is accepted if transformers
    has the class in its `architectures`. A hub model that is not on this machine is not judged.
    """
    version = transformers.__version__
    try:
        folder = folder or fetch(name, TOKENIZER_FILES)
    except OSError:  # loading it will say so
        return
    with explain(name, "reading the configuration"):
        configs = {
            file: gate.read_config(folder / file) if (folder / file).is_file() else {}
            for file in ("config.json", "tokenizer_config.json")
        }
    config, settings = configs.values()  # an adapter folder has no config.json
    if config:
        supported = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.get("model_type", ""), ())
        supported = {supported} if isinstance(supported, str) else set(supported)
        names = list(map(str, config.get("architectures") or [config.get("model_type", "nothing")]))
        remote = "auto_map" in config
        if not supported or (remote and not supported & set(names)):
            reason = "needs remote code (auto_map), which is not run here: " * remote
            raise ModelError(
                f"{name}: config.json {reason}names {', '.join(names)}, which is not a language "
                f"model in transformers {version}; choose a base model that is"
            )
    tokenizer_class = str(settings.get("tokenizer_class") or "")
    if settings.get("auto_map") and not hasattr(transformers, tokenizer_class):
        raise ModelError(
            f"{name}: tokenizer_config.json needs remote code (auto_map), which is not run here: "
            f"{tokenizer_class or 'its class'} is not a tokenizer in transformers {version}"
        )


def identify_model(name: str) -> dict[str, str]:
    """Return what identifies a model: `identify_weights` of its folder."""
    return identify_weights(fetch(name))


def identify_weights(folder: Path) -> dict[str, str]:
    """Return what identifies a model: hashes of its weights and config.json, 16 hex digits each.

    A hub snapshot also has its commit, `model_revision`. Where the hub's cache names its files by
    their hash, the weights are not read.
    """
    identity = {"model_sha256": hash_weights(folder)}
    if folder.parent.name == "snapshots" and re.fullmatch("[0-9a-f]{40}", folder.name):
        identity["model_revision"] = folder.name
    if (folder / "config.json").is_file():
        identity["config_sha256"] = hash_file(folder / "config.json")[:16]
    return identity
