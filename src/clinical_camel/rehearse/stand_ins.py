"""Files that stand in for what is not on this machine: a base model without weights, dialogues.

A rehearsal measures time and memory, which depend on shapes and lengths. Nothing large is
downloaded: of a base model only its configuration and tokenizer, and without a network not even
those, if its shape is known.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from clinical_camel import models
from clinical_camel.core.base_models import SHIPPED, check_fetched, find_folder
from clinical_camel.core.files import read_json, write_bytes, write_json
from clinical_camel.models import folders
from clinical_camel.models.templates import REPLY_ENDS
from clinical_camel.rehearse.random_model import MARK

LARGEST_OWN = 5 * 10**9  # bytes of weights; larger ones take minutes to read
EXCHANGE = 50  # words of a message in a dialogue that stands in
ROWS = 400  # dialogues that stand in for a set
TEXT = "The patient reports pain that began two days ago and takes no medicine for it now"


def is_own(model: str) -> bool:
    """Return whether the weights of a base model are on this machine, and small enough to read."""
    files = list(find_folder(model).glob("*.safetensors"))
    return bool(files) and sum(file.stat().st_size for file in files) <= LARGEST_OWN


def read_configuration(model: str) -> tuple[dict[str, Any], Path | None]:
    """Return config.json of a base model, and its folder or None if only its shape is known.

    Raises FileNotFoundError if neither this machine, the hub nor our table knows it.
    """
    place = find_folder(model)
    if (place / "config.json").is_file():
        return read_json(place / "config.json"), place
    try:
        if not check_fetched(model):
            place = folders.fetch(model, folders.TOKENIZER_FILES)
            if (place / "config.json").is_file():
                return read_json(place / "config.json"), place
    except (OSError, models.ModelError):
        pass  # no network, or no permission: the shape may be known
    from clinical_camel.estimate.shapes import SHAPES

    if model in SHAPES:
        return dict(SHAPES[model]), None
    raise FileNotFoundError(
        f"model: {model}: its config.json is not on this machine and the hub does not give it; put "
        f"config.json and the tokenizer into the folder {model}"
    )


def write_model(folder: Path, model: str, chat_template: str) -> str:
    """Write a folder that stands in for a base model; return what is not its own, or "".

    `folder` gets configuration and tokenizer, the mark of random weights, and a file of weights
    that holds nothing. Without the tokenizer, that of the shipped model takes its place.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    config, place = read_configuration(model)
    folder.mkdir(parents=True, exist_ok=True)
    has_tokenizer = place is not None and any(place.glob("tokenizer*"))
    if has_tokenizer:
        for pattern in folders.TOKENIZER_FILES:
            for file in place.glob(pattern):
                if file.is_file() and not file.name.endswith(".safetensors.index.json"):
                    shutil.copyfile(file, folder / file.name)
    write_json(folder / "config.json", config)
    if not config.get("architectures"):
        with torch.device("meta"):
            skeleton = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)))
        write_json(folder / "config.json", config | {"architectures": [type(skeleton).__name__]})
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors")
    (folder / MARK).write_text("this folder has no weights\n", encoding="utf-8")
    if has_tokenizer:
        return ""
    _write_tokenizer(folder, chat_template, int(config.get("vocab_size", 0)))
    return f"tokenizer of {model} not on this machine: that of {SHIPPED} was used"


def _write_tokenizer(folder: Path, chat_template: str, size: int) -> None:
    """Write the shipped tokenizer with as many tokens as the base model has embeddings."""
    shipped = find_folder(SHIPPED)
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(shipped / name, folder / name)
    tokenizer = json.loads((shipped / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    added = tokenizer["added_tokens"]
    first = max([*vocabulary.values(), *(token["id"] for token in added)]) + 1
    names = [f"unused {i}" for i in range(first, size)]
    if names and (end := REPLY_ENDS.get(chat_template)):
        names.pop(0)
        added.append(dict(added[-1]) | {"id": first, "content": end})
        vocabulary[end] = first  # else the library numbers it itself
        first += 1
    vocabulary.update({name: first + i for i, name in enumerate(names)})
    text = json.dumps(tokenizer, ensure_ascii=False)
    write_bytes(folder / "tokenizer.json", text.encode())


def _make_messages(row: int, tokens: int) -> list[dict[str, str]]:
    exchanges = max(1, round(tokens / 1.3 / (2 * EXCHANGE)))
    words = (TEXT.split() * EXCHANGE)[: min(EXCHANGE, max(4, int(tokens / 2.6)))]
    return [
        {"role": role, "content": f"{row} {turn} {' '.join(words)}."}
        for turn in range(exchanges)
        for role in ("user", "assistant")
    ]


def write_dialogues(file: Path, tokens: int, longest: int = 0, count: int = 0) -> None:
    """Write ROWS dialogues of about so many tokens each, at 1.3 tokens per word.

    The first `count` have about `longest` tokens, because the longest rows decide the memory.
    """
    lines = []
    for row in range(ROWS):
        messages = _make_messages(row, longest if row < count else tokens)
        values = {"id": f"stand-in-{row}", "source": "stand-in", "messages": messages}
        lines.append(json.dumps(values))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, ("\n".join(lines) + "\n").encode())
