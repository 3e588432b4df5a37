"""The reward model: a base with a LoRA and a head that gives every reply one number.

It is trained on pairs with the loss -log sigmoid(r_chosen - r_rejected) (Bradley and Terry 1952;
Ouyang et al. 2022, arXiv:2203.02155, equation 1) by TRL's `RewardTrainer` (`reward_training`). The
head is saved with the LoRA and computes in float32, also on a base in 4 bits. A conversation is
tokenized here once, for training and for scoring: with the chat template of the policy, the end
token of the reply included.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from clinical_camel import models
from clinical_camel.core.files import read_json, write_json
from clinical_camel.core.paths import root
from clinical_camel.data import Message
from clinical_camel.models import ModelError, adapters, compute, fused_lora, weights, workers
from clinical_camel.models.adapter_gate import ADAPTER_WEIGHTS
from clinical_camel.models.folders import explain
from clinical_camel.reward_and_rl.shapes import Reply, RewardFunction

HEAD = "score"  # the name of the head in transformers
RECORD = "reward_model.json"  # in the folder of a reward model: the scale of its rewards


class Float32Head(torch.nn.Linear):
    """A linear layer that computes in float32 whatever the type of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return torch.nn.functional.linear(x.float(), self.weight)


@dataclass(slots=True)
class RewardModel:
    """A reward model that can score; `max_length` is the context of its base, in tokens.

    `source` has everything that decides its scores, for the key of a journal.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    source: dict[str, str] = field(default_factory=dict)


# ------------------------------------------------------------------------------------ building


def build_reward_model(
    model: str,
    adapter: str = "",
    *,
    rank: int,
    quantize: str = "",
    chat_template: str = "",
    compute_dtype: str = "auto",
    seed: int = 0,
) -> RewardModel:
    """Load a base, put a head and a LoRA on it, ready to train.

    With an SFT `adapter` (a folder of step 02), the reward model starts as the SFT model: the LoRA
    has the adapter's matrices and `rank` more columns, which begin at zero. Without one, it has
    `rank` alone, on every linear layer. The head starts with a standard deviation of
    1 / sqrt(width + 1) (Stiennon et al. 2020, arXiv:2009.01325). Raises ModelError as
    `models.load` does; for an adapter that is no plain LoRA; and for a base whose classifier
    transformers lacks.
    """
    tokenizer, base, source = _load_base(
        model, adapter, quantize, compute_dtype, chat_template=chat_template
    )
    torch.manual_seed(seed)
    classifier = make_classifier(base, tokenizer)
    sft = _read_sft(base, root() / adapter, adapter) if adapter else None
    names = list(sft.matrices) if sft else _list_linear_layers(classifier)
    total = rank + (sft.rank if sft else 0)
    config = LoraConfig(
        r=total,
        lora_alpha=(sft.scale if sft else 1.0) * total,
        target_modules=names,
        modules_to_save=[HEAD],
        # no task_type: PEFT would look for the methods of a generator or classifier of its own
    )
    peft_model = get_peft_model(classifier, config)
    _train_in_float32(peft_model)
    if sft:
        _copy_matrices(peft_model, sft)
    fused_lora.fuse_lora(peft_model)
    limit = models.find_context_length(base.config)
    return RewardModel(peft_model, tokenizer, limit, source)


def save_reward_model(
    reward_model: RewardModel, folder: Path, base: str, scale: Mapping[str, float]
) -> None:
    """Save LoRA, head, tokenizer, template, scale, and a record of the base; verify the files.

    Raises TrainingError if a trained matrix is not in the file bit by bit.
    """
    adapters.save_adapter(reward_model.model, reward_model.tokenizer, folder, base)
    write_json(folder / RECORD, {"scale": dict(scale)})


def load_reward_model(
    folder: str, model: str, *, quantize: str = "", compute_dtype: str = "auto"
) -> tuple[RewardModel, dict[str, float]]:
    """Return a saved reward model, for `make_reward_function`, and the scale of its rewards.

    `folder`, from the project root: `reward_model` in the results of step 07; `model`: its base.
    Raises ModelError for another folder, for another base, and as `models.load` does.
    """
    scale = read_json(root() / folder / RECORD).get("scale")
    if not scale or not (root() / folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"{folder} lacks {RECORD} or {ADAPTER_WEIGHTS}; name the folder reward_model in the "
            "results of step 07"
        )
    identity = models.identify_weights(models.require_model(model))
    adapters.require_base(root() / folder, model, identity, folder)
    tokenizer = models.load_tokenizer(folder)
    classifier = make_classifier(
        models.load_base(model, quantize, compute_dtype=compute_dtype), tokenizer
    )
    with explain(folder, "loading a reward model"):
        peft_model = PeftModel.from_pretrained(classifier, str(root() / folder))
    compute.train_in_float32(peft_model)
    fused_lora.fuse_lora(peft_model)
    source = {"model": model, "quantize": quantize, **identity, "reward_model": folder}
    source |= {"reward_model_sha256": weights.hash_weights(root() / folder)}
    limit = models.find_context_length(classifier.config)
    return RewardModel(peft_model, tokenizer, limit, source), scale


def make_classifier(base: Any, tokenizer: PreTrainedTokenizerBase) -> Any:
    """Return a classifier with one output on the layers of a causal `base`, with a new head.

    The layers are not copied: `base` must not be used any more. They passed the checks of
    `models.load_base`, which transformers' own loader of classifiers does not make.
    """
    config = copy.deepcopy(base.config)
    config.num_labels = 1
    config.get_text_config().pad_token_id = tokenizer.pad_token_id
    name = config._name_or_path
    with explain(name, "building a classifier"), torch.device("meta"):
        classifier = AutoModelForSequenceClassification.from_config(config)
    prefix = classifier.base_model_prefix
    head = getattr(classifier, HEAD, None)
    if not isinstance(head, torch.nn.Linear) or prefix != base.base_model_prefix:
        raise ModelError(
            f"model: the classifier of {config.model_type} in transformers has no head called "
            f"{HEAD}; choose a Llama, Mistral, Qwen or BLOOM base"
        )
    setattr(classifier, prefix, getattr(base, prefix))
    width = head.in_features
    new = Float32Head(width, 1, bias=False, device=base.device, dtype=torch.float32)
    torch.nn.init.normal_(new.weight, std=1 / math.sqrt(width + 1))
    setattr(classifier, HEAD, new)
    for name in ("is_loaded_in_8bit", "is_loaded_in_4bit"):  # PEFT chooses its layers by these
        setattr(classifier, name, getattr(base, name, False))
    return classifier


def _load_base(
    model: str,
    adapter: str,
    quantize: str,
    compute_dtype: str,
    *,
    chat_template: str = "",
) -> tuple[PreTrainedTokenizerBase, Any, dict[str, str]]:
    """Return tokenizer, base and what identifies them."""
    folder = models.require_model(model)
    identity = models.identify_weights(folder)
    source = {"model": model, "quantize": quantize, **identity}
    has_tokenizer = adapter and (root() / adapter / "tokenizer_config.json").is_file()
    if adapter:
        source |= {
            "adapter_base": adapters.require_base(root() / adapter, model, identity, adapter)
        }
        source |= {"adapter": adapter, "adapter_sha256": weights.hash_weights(root() / adapter)}
    tokenizer = models.load_tokenizer(adapter if has_tokenizer else model, chat_template)
    skeleton = models.build_skeleton(model)
    if adapter:
        adapters.require_matching_adapter(root() / adapter, skeleton, adapter)
    models.require_matching_tokenizer(tokenizer, skeleton, model)
    base = models.load_base(model, quantize, compute_dtype=compute_dtype)
    source |= models.identify_tokenizer(tokenizer) | {"dtype": str(base.config.dtype)}
    return tokenizer, base, source


@dataclass(frozen=True, slots=True)
class _Sft:
    """The LoRA of an SFT adapter: its rank, its scale, and (A, B) of each layer."""

    rank: int
    scale: float
    matrices: dict[str, tuple[torch.Tensor, torch.Tensor]]


def _read_sft(base: Any, folder: Path, name: str) -> _Sft:
    """Return the matrices of a plain LoRA adapter for the layers below the LM head."""
    adapters.require_matching_adapter(
        folder, models.build_skeleton(base.config._name_or_path), name
    )
    config = LoraConfig.from_pretrained(str(folder))
    for option in ("rank_pattern", "alpha_pattern", "use_dora", "modules_to_save"):
        if getattr(config, option):
            raise ModelError(
                f"adapter: {name} has {option}; a reward model starts from a plain LoRA of one rank"
            )
    loaded = adapters.load_adapter(base, folder, "sft", f"adapter: {name}")
    matrices = {}
    for path, layer in loaded.get_base_model().named_modules():
        if "sft" in getattr(layer, "lora_A", {}) and path.startswith(f"{base.base_model_prefix}."):
            pair = (layer.lora_A["sft"].weight, layer.lora_B["sft"].weight)
            matrices[path] = tuple(weight.detach().float().clone() for weight in pair)
    loaded.unload()  # the layers of `base` become plain again
    root_of_rank = math.sqrt(config.r) if config.use_rslora else config.r
    return _Sft(config.r, config.lora_alpha / root_of_rank, matrices)


def _copy_matrices(model: PeftModel, sft: _Sft) -> None:
    """Write the SFT matrices into the first columns of a wider LoRA; its other B are zero."""
    layers = dict(model.get_base_model().named_modules())
    with torch.no_grad():
        for path, (a, b) in sft.matrices.items():
            layers[path].lora_A["default"].weight[: sft.rank] = a
            layers[path].lora_B["default"].weight[:, : sft.rank] = b


def _list_linear_layers(classifier: Any) -> list[str]:
    """Return the linear layers below the head, as LoRA targets."""
    prefix = f"{classifier.base_model_prefix}."
    return [
        path
        for path, layer in classifier.named_modules()
        if isinstance(layer, torch.nn.Linear) and path.startswith(prefix)
    ]


def _train_in_float32(model: PeftModel) -> None:
    """Make LoRA and head float32, and hide a quantized base, for which TRL casts to bfloat16."""
    compute.train_in_float32(model)
    model.get_base_model().is_loaded_in_4bit = False
    model.get_base_model().is_loaded_in_8bit = False


# ------------------------------------------------------------------------------------- scoring


def tokenize_reply(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], reply: str
) -> list[int]:
    """Return the tokens of a conversation with a reply and its end token, as trained and scored.

    They are those that step 02 trains on (`models.tokenize_dialogue`). A reply that was truncated
    gets an end token, too: the head reads the last token, and has never seen another one there.
    The penalty for truncation is separate.
    """
    conversation = [*messages, {"role": "assistant", "content": reply}]
    return models.tokenize_dialogue(tokenizer, conversation, "all")["input_ids"]


@torch.inference_mode()
def score_tokens(
    reward_model: RewardModel, rows: Sequence[Sequence[int]], token_budget: int
) -> torch.Tensor:
    """Return the rewards of tokenized conversations, float32 [rows], on the CPU.

    `token_budget` limits rows x tokens of a batch; a batch that runs out of memory is halved.
    Raises ModelError for a row longer than the context, and for NaN.
    """
    if not rows:
        return torch.zeros(0)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
    if (longest := len(rows[order[0]])) > reward_model.max_length:
        raise ModelError(
            f"a conversation of {longest} tokens is longer than the context of the reward model, "
            f"{reward_model.max_length}; use a smaller max_prompt_tokens or max_new_tokens"
        )
    model = reward_model.model.eval()
    pad = reward_model.tokenizer.pad_token_id

    def score_batch(batch: list[_Row]) -> list[tuple[int, float]]:
        width = max(map(len, batch))
        ids = [[*row.tokens, *[pad] * (width - len(row))] for row in batch]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in batch]
        inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}
        output = model(**{name: x.to(model.device) for name, x in inputs.items()}, use_cache=False)
        scores = output.logits.squeeze(-1).float().tolist()
        return list(zip([row.index for row in batch], scores, strict=True))

    rewards = torch.zeros(len(rows), dtype=torch.float32)
    batches = [_Row(i, rows[i]) for i in order]
    with models.freeze_quantization(model):
        for scores in workers.compute_batches(
            batches, 0, token_budget, score_batch, lambda row: False
        ):
            for index, score in scores:
                rewards[index] = score
    if not rewards.isfinite().all():
        raise ModelError("the reward model gave NaN or infinity; train it again")
    return rewards


@dataclass(frozen=True, slots=True)
class _Row:
    index: int
    tokens: Sequence[int]

    def __len__(self) -> int:
        return len(self.tokens)


def score_replies(
    reward_model: RewardModel, replies: Sequence[Reply], token_budget: int
) -> torch.Tensor:
    """Return the rewards of replies, float32 [replies]; see `score_tokens`."""
    tokenizer = reward_model.tokenizer
    rows = [tokenize_reply(tokenizer, reply.prompt.messages, reply.text) for reply in replies]
    return score_tokens(reward_model, rows, token_budget)


def make_reward_function(
    reward_model: RewardModel, token_budget: int, scale: Mapping[str, float]
) -> RewardFunction:
    """Return the reward function of a reward model: the proxy reward of every RL method.

    `scale`: of `reward_checks.describe_scale`. Rewards are in standard deviations from its mean, so
    that the KL coefficient means the same for every reward model.
    """

    def reward(replies: Sequence[Reply]) -> torch.Tensor:
        rewards = score_replies(reward_model, replies, token_budget)
        return (rewards - scale["mean"]) / max(scale["std"], 1e-6)

    return reward
