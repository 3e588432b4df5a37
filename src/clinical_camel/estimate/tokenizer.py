"""The tokenizer of a base model, without transformers, whose import takes seconds.

It gives the same tokens as `models.load_tokenizer` (the tests compare both), and only for a model
with a tokenizer.json and a template of ours. Others are loaded by `models.load_tokenizer`.
"""

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2.ext
import jinja2.sandbox
import tokenizers

from clinical_camel import models
from clinical_camel.core.base_models import find_folder
from clinical_camel.core.files import read_json
from clinical_camel.models import gate
from clinical_camel.models.templates import REPLY_ENDS, TEMPLATES

MOST_ENCODED = 1000  # texts whose tokens are stored
START, END = "\ue000", "\ue001"  # around a reply in a rendered template: private-use characters


def load_local_tokenizer(model: str, chat_template: str) -> Any:
    """Return the tokenizer of a base model, or None if it is not on this machine.

    Raises ModelError for one that a step would reject.
    """
    folder = find_local_folder(model)
    if folder is None:
        return None
    gate.require_no_problem(gate.check_tokenizer_folder(folder), model)
    if tokenizer := _read_tokenizer(folder, chat_template):
        return tokenizer
    try:
        tokenizer = models.load_tokenizer(model, chat_template)
    except OSError:  # only a part of it is in the cache
        return None
    tokenizer.model_max_length = sys.maxsize  # texts are only counted: no length warning
    return tokenizer


def find_local_folder(model: str) -> Path | None:
    """Return the folder with the tokenizer of a model, maybe in the hub's cache; None without."""
    if (folder := find_folder(model)).is_dir():
        return folder
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    for name in ("tokenizer.json", "tokenizer.model"):
        try:
            file = try_to_load_from_cache(model, name)
        except HFValidationError:
            return None
        if isinstance(file, str):
            return Path(file).parent
    return None


def _read_tokenizer(folder: Path, chat_template: str) -> "Tokenizer | None":
    """Return a tokenizer of a kind that this module reads, else None."""
    config = read_json(folder / "tokenizer_config.json")
    if not (folder / "tokenizer.json").is_file():
        return None
    template = TEMPLATES.get(chat_template) or _read_template(folder, config)
    texts = {name: _find_text(config.get(name)) for name in ("bos_token", "eos_token", "unk_token")}
    texts["eos_token"] = REPLY_ENDS.get(chat_template, texts["eos_token"])
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {name: backend.token_to_id(text) if text else None for name, text in texts.items()}
    if template not in TEMPLATES.values() or ids["eos_token"] is None:
        return None
    if any(texts[name] and ids[name] is None for name in texts):
        return None
    tokenizer = Tokenizer(backend, template, texts, ids)
    return tokenizer if tokenizer.has_consistent_bos() else None


def _read_template(folder: Path, config: Mapping[str, Any]) -> Any:
    file = folder / "chat_template.jinja"
    return file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")


def _find_text(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


class Tokenizer:
    """What counting needs of a tokenizer of transformers, under the same names."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        chat_template: str,
        texts: Mapping[str, str | None],
        ids: Mapping[str, int | None],
    ) -> None:
        backend.no_truncation()
        backend.no_padding()
        self.backend_tokenizer = backend
        self.chat_template = chat_template
        self.added_tokens_decoder = backend.get_added_tokens_decoder()
        self.bos_token, self.eos_token = texts["bos_token"], texts["eos_token"]
        self.bos_token_id, self.eos_token_id = ids["bos_token"], ids["eos_token"]
        self.unk_token_id = ids["unk_token"]
        self._encoded: dict[tuple[str, bool], list[int]] = {}

    def has_consistent_bos(self) -> bool:
        """Whether a rendered conversation has the tokens of the same text at inference."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "@"}]
        text = self.apply_chat_template(turns, tokenize=False)
        at_inference = models.tokenize_text(self, text)
        return self.encode(text, add_special_tokens=False) == at_inference

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of a text. The options of a question share their prompt."""
        key = (text, add_special_tokens)
        if key not in self._encoded:
            if len(self._encoded) > MOST_ENCODED:
                self._encoded.clear()
            self._encoded[key] = self.backend_tokenizer.encode(
                text, add_special_tokens=add_special_tokens
            ).ids
        return self._encoded[key]

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, str]],
        tokenize: bool = True,
        add_generation_prompt: bool = False,
        **options: Any,
    ) -> Any:
        """Return the text of a conversation, or `input_ids` and `assistant_masks`.

        `options` of transformers that choose between those forms have no effect.
        """
        rendered = _compile_template(self.chat_template).render(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            bos_token=self.bos_token or "",
            eos_token=self.eos_token,
        )
        text, spans = _find_replies(rendered)
        if not tokenize:
            return text
        encoding = self.backend_tokenizer.encode(text, add_special_tokens=False)
        mask = [0] * len(encoding.ids)
        for start, end in spans:
            first, last = encoding.char_to_token(start), encoding.char_to_token(end - 1)
            if first is not None:
                stop = len(mask) if last is None else last + 1
                mask[first:stop] = [1] * (stop - first)
        return {"input_ids": encoding.ids, "assistant_masks": mask}


def _find_replies(rendered: str) -> tuple[str, list[tuple[int, int]]]:
    """Return the text without marks, and the start and end of each marked span in it."""
    text, spans = "", []
    for number, part in enumerate(rendered.split(START)):
        reply, mark, rest = part.partition(END)
        if number and mark:
            spans.append((len(text), len(text) + len(reply)))
        text += reply + rest
    return text, spans


@functools.cache
def _compile_template(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols]
    )
    return environment.from_string(template)


class _Generation(jinja2.ext.Extension):
    """The tag `generation` of transformers: it marks the text inside."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_mark")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{START}{caller()}{END}"
