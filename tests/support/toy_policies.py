"""Small policies, material and settings for tests of reinforcement learning."""

import math
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tests.support.toy_training import BASES
from transformers import AutoModelForCausalLM

from clinical_camel import models, sft_qlora
from clinical_camel.data import Question
from clinical_camel.models import LLM
from clinical_camel.reward_and_rl.material import Material
from clinical_camel.reward_and_rl.settings import RewardAndRl
from clinical_camel.reward_and_rl.shapes import Pair, Prompt, Reply

PROMPT_TEXTS = ("What causes gout?", "How is it treated?", "Name a sign of gout in one word.")


def make_prompt(number: int, text: str = "") -> Prompt:
    """Return a prompt; prompts of different numbers have different lengths."""
    text = text or PROMPT_TEXTS[number % len(PROMPT_TEXTS)]
    messages = [{"role": "user", "content": f"{text} Case {number}."}]
    return Prompt(f"case-{number}", f"group-{number // 2}", messages, f"Urate {number}.")


def save_sft(
    folder: Path, name: str = "mini", chat_template: str = "", deviation: float = 0.02
) -> Path:
    """Save an SFT adapter of rank 4 for a base: random, not trained."""
    base, tokenizer = models.load_base(name), models.load_tokenizer(name, chat_template)
    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    for key, parameter in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(parameter, std=deviation)
    sft_qlora.save_adapter(model, tokenizer, folder, name)
    return folder


def load_sft(folder: Path, quantize: str = "") -> LLM:
    """Load the SFT model of `save_sft`."""
    return models.load("mini", {"sft": str(folder)}, quantize)["sft"]


def random_sft(kind: str) -> LLM:
    """Return a small random model of an architecture of `toy_training.BASES`, with an adapter."""
    torch.manual_seed(1)
    attention = "eager" if kind == "bloom" else "sdpa"
    base = AutoModelForCausalLM.from_config(BASES[kind], attn_implementation=attention)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config, adapter_name="adapter0")
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return LLM(kind, model.eval(), models.load_tokenizer("mini"), 512, "adapter0", {"adapter": ""})


def share_of_e(replies: list[Reply]) -> torch.Tensor:
    """A reward with many values: the share of the letter e in a reply."""
    shares = [reply.text.count("e") / max(1, len(reply.text)) for reply in replies]
    return torch.tensor(shares, dtype=torch.float32)


def toy_material(**changes: Any) -> Material:
    """Return material for every method: six training prompts, four held-out ones, two exams."""
    prompts = [make_prompt(i) for i in range(10)]
    pairs = [Pair(prompt, "the needle", "a dog ran by", "rule") for prompt in prompts[:6]]
    question = Question(id="q", question="Cause?", options=["urate", "a toxin"], answer=0)
    values = {
        "training": prompts[:6],
        "held_out": prompts[6:],
        "proxy": share_of_e,
        "gold": lambda replies: -share_of_e(replies),
        "pairs": pairs,
        "exams": {"exam": [question]},
        "exam_key": [question],
    }
    return Material(**values | changes)


def toy_settings(sft: Path | str = "outputs/x", **changes: Any) -> RewardAndRl:
    """Return settings of a training of a few short steps."""
    values = {
        "adapter": str(sft),
        "quantize": "",
        "max_prompt_tokens": 40,
        "max_new_tokens": 6,
        "methods": ["ppo"],
        "seeds": [0],
        "rl_steps": 4,
        "eval_steps": 2,
        "eval_limit": 0,
        "save_steps": 2,
        "prompts_per_step": 2,
        "num_generations": 2,
        "temperature": 1.0,
        "truncation_penalty": 0.0,
        "kl_cap": 1000.0,
    }
    return RewardAndRl(**values | changes)


def give_nan(replies: list[Reply]) -> torch.Tensor:
    """A reward that is no number."""
    return torch.full((len(replies),), math.nan)
