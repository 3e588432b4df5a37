"""Damaged and hostile model and adapter folders: each is a copy of a good one with one change."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tests.support.toy_tokenizers import write_tokenizer
from transformers import AutoModelForCausalLM

WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"
NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
MESSAGES = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
Damage = Callable[[Path], object]


def write(name: str, content: str | bytes) -> Damage:
    """Replace a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def edit(name: str, **changes: Any) -> Damage:
    """Change values of a JSON file; None deletes one."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / name).read_text()) | changes
        config = {key: value for key, value in config.items() if value is not None}
        (folder / name).write_text(json.dumps(config))

    return damage


def edit_text(name: str, old: str, new: str) -> Damage:
    """Replace a text in a file, everywhere."""
    return lambda f: (f / name).write_text((f / name).read_text().replace(old, new))


def config(**changes: Any) -> Damage:
    return edit("config.json", **changes)


def adapter(**changes: Any) -> Damage:
    return edit("adapter_config.json", **changes)


def quantization(**changes: Any) -> Damage:
    """Change values of the quantization_config in config.json."""

    def damage(folder: Path) -> None:
        stored = json.loads((folder / "config.json").read_text())["quantization_config"]
        config(quantization_config=stored | changes)(folder)

    return damage


def delete(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def template(text: str) -> Damage:
    return write("chat_template.jinja", text)


def cut(name: str, size: int) -> Damage:
    """Keep the first bytes of a file."""
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    """Change the tensors of a safetensors file: `change` returns the new ones."""

    def damage(folder: Path) -> None:
        changed = change({k: v.clone() for k, v in load_file(folder / name).items()})
        changed = {key: value.contiguous() for key, value in changed.items()}
        save_file(changed, folder / name, metadata={"format": "pt"})

    return damage


def set_first(value: float, part: str = "") -> Callable:
    """Put a number at the start of the first tensor whose name contains `part`."""

    def change(parts):
        name = next(name for name in sorted(parts) if part in name)
        parts[name].view(-1)[0] = value
        return parts

    return change


def to(dtype: torch.dtype) -> Callable:
    return lambda parts: {key: value.to(dtype) for key, value in parts.items()}


def without(part: str) -> Callable:
    return lambda parts: {key: value for key, value in parts.items() if part not in key}


def shortened(part: str) -> Callable:
    return lambda parts: {k: v[:5] if k.endswith(part) else v for k, v in parts.items()}


def renamed(old: str, new: str) -> Callable:
    return lambda parts: {key.replace(old, new): value for key, value in parts.items()}


def header_of(size: int) -> Damage:
    """Let a weights file claim a header of this size."""
    return lambda folder: (folder / WEIGHTS).write_bytes(
        struct.pack("<Q", size) + (folder / WEIGHTS).read_bytes()[8:]
    )


def shift_offsets(folder: Path) -> None:
    """Let the second tensor begin inside the first."""
    data = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    second = sorted(header.keys() - {"__metadata__"}, key=lambda n: header[n]["data_offsets"])[1]
    header[second]["data_offsets"] = [n - 4 for n in header[second]["data_offsets"]]
    text = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def split_in_two(index: Callable[[dict], object] = lambda index: None) -> Damage:
    """Write the weights as two parts with an index, and change the index."""

    def damage(folder: Path) -> None:
        parts = load_file(folder / WEIGHTS)
        (folder / WEIGHTS).unlink()
        names = {key: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, key in enumerate(parts)}
        for name in sorted(set(names.values())):
            save_file({k: v for k, v in parts.items() if names[k] == name}, folder / name)
        content = {"metadata": {"total_size": 1}, "weight_map": names}
        index(content)
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps(content))

    return damage


def to_pickle(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def token_beyond_the_embedding(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    last = dict(content["added_tokens"][-1], id=2048, content="<evil>")
    content["added_tokens"].append(last)
    (folder / "tokenizer.json").write_text(json.dumps(content))


def other_tokenizer(folder: Path) -> None:
    """Bring the small tokenizer of another family."""
    write_tokenizer("llama", folder / "other")
    (folder / "other" / "tokenizer.json").replace(folder / "tokenizer.json")


def swap_two_tokens(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    first, second = [token for token, number in vocabulary.items() if number in (300, 301)]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def make_adapter(base: Path, folder: Path, **changes: Any) -> None:
    """Save a LoRA adapter with random matrices for the model in `base`."""
    torch.manual_seed(0)
    options = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    lora = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **options | changes)
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora)
    tuned.peft_config["default"].base_model_name_or_path = "mini"
    tuned.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
