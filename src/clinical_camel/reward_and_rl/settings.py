"""The settings of step 07."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from clinical_camel.core.paths import root
from clinical_camel.core.rewards import ON_PROXY
from clinical_camel.core.settings import Count, Float, Limit, Share, StepSettings, Text
from clinical_camel.core.values import nearest, show
from clinical_camel.data.specs import (
    MixtureSpec,
    OptionalEvaluationSpec,
    OptionalTrainingQuestionSpec,
)
from clinical_camel.models import limits
from clinical_camel.models.choices import ChatTemplate, ComputeDtype, Quantize, check_model
from clinical_camel.teachers.settings import JudgeSettings, Overlap

STEP = "07_reward_and_rl"
RULE, JUDGE = "rule", "judge"
PROMPT, SUBJECT = "prompt", "subject"
RANKING_ENDINGS = (".csv", ".tsv", ".jsonl", ".json")
PPO, DPO, EXAM_KEY = "ppo", "dpo", "grpo_exam_key"
METHODS = (*ON_PROXY, DPO, EXAM_KEY)
Rate = Annotated[Float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


def name_ranker(path: str) -> str:
    """Return the name of a file of rankings in the tables: that of the file, up to its first dot.

    >>> name_ranker("people/anna.ranks.csv")
    'anna'
    """
    return PurePosixPath(path).name.split(".")[0]


class RewardAndRl(StepSettings):
    """How a reward model is trained, and how a policy is trained with it."""

    study: Text = Field(
        "clinicalgpt_mini", description="params folder; results go to outputs/<study>/"
    )
    model: Text = Field("mini", description="base model: mini (shipped), a folder, or a hub id")
    quantize: Quantize = Field(
        "nf4_dequantized",
        description="nf4 (4 bits), nf4_dequantized (nf4 values as floats), int8, or empty",
    )
    compute_dtype: ComputeDtype = Field(
        "auto", description="type of the numbers: bfloat16, float32, or auto (the faster one here)"
    )
    chat_template: ChatTemplate = Field(
        "", description="empty: the tokenizer's own; else a name in models.TEMPLATES"
    )
    adapter: Text = Field(
        "outputs/clinicalgpt_mini/02_sft_qlora/adapter",
        description="SFT adapter of step 02: start of every policy, and reference of the KL",
    )
    prompts: dict[MixtureSpec, Share] = Field(
        {"mini_triples": 1.0},
        min_length=1,
        description="dialogues whose last reply is removed: fraction of the rows to use",
    )
    held_out_fraction: Float = Field(
        0.2,
        gt=0,
        lt=1,
        description="share of the prompts (or subjects) left out of the training pairs and of RL",
    )
    held_out_by: Literal[PROMPT, SUBJECT] = Field(
        PROMPT,
        description=(
            "prompt: new questions on known subjects; subject: all prompts of a subject together"
        ),
    )
    max_prompt_tokens: Count = Field(96, description="longest prompt, in tokens; longer: an error")
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)] = Field(
        48, description="longest reply, in tokens; a longer one is truncated and penalised"
    )
    rankers: list[Text] = Field(
        [RULE, JUDGE],
        min_length=1,
        description=(
            "rule, judge, or a file of rankings; the first trains the reward model, all are"
            " compared"
        ),
    )
    replies_per_prompt: int = Field(
        4, ge=2, le=64, description="replies of the SFT model to each prompt, which are ranked"
    )
    temperature: Float = Field(
        1.0, gt=0, le=5, description="sampling temperature of all replies; 1.0: the model's own"
    )
    judge: JudgeSettings = Field(
        Overlap(),
        description="the judge; kind: overlap (a rule), local, openai or replay",
    )
    gold: Literal[RULE, JUDGE] = Field(
        RULE,
        description="reward that is measured but not trained: rule, or judge (wins against SFT)",
    )
    reward_lora_rank: int = Field(
        4, ge=1, le=1024, description="rank that the reward model adds to that of the SFT adapter"
    )
    reward_learning_rate: Rate = Field(3.0e-4, description="learning rate of the reward model")
    reward_epochs: int = Field(
        2, ge=1, le=1000, description="passes of the reward model over the training pairs"
    )
    reward_batch_size: int = Field(16, ge=1, le=4096, description="pairs per step of its training")
    reward_max_length: int = Field(
        160, ge=16, le=131072, description="longest prompt with reply; longer pairs are dropped"
    )
    methods: list[Literal[METHODS]] = Field(
        list(METHODS),
        min_length=1,
        description=(
            "ppo, rloo, grpo, dpo; grpo_exam_key: GRPO rewarded by the key of an exam, not by"
            " the reward model"
        ),
    )
    seeds: list[Seed] = Field(
        [0, 1, 2, 3, 4], min_length=1, description="trainings of each method, one per seed"
    )
    rl_steps: Count = Field(40, description="batches of replies (pairs for dpo) per training")
    prompts_per_step: Count = Field(16, description="prompts in a batch")
    num_generations: int = Field(4, ge=2, le=1024, description="replies to each prompt of a batch")
    kl_coefficient: Float = Field(
        0.05, ge=0, le=100, description="beta: the weight of the KL to the SFT model"
    )
    kl_cap: Float = Field(
        20.0,
        gt=0,
        le=1e6,
        description=(
            "a training stops if its KL, in nats per reply, is above; DPO, and with kl_coefficient"
            " 0.0 RLOO and GRPO, are checked at measurements only"
        ),
    )
    clip_range: Float = Field(
        0.2, gt=0, lt=1, description="probability ratios are clipped to 1 - this and 1 + this"
    )
    gae_lambda: Share = Field(0.95, description="lambda of PPO's advantages; 1.0: no bootstrapping")
    ppo_epochs: int = Field(2, ge=1, le=100, description="PPO's optimizer steps on each batch")
    learning_rates: dict[Literal[METHODS], Rate] = Field(
        {PPO: 2.0e-4, "rloo": 3.0e-4, "grpo": 3.0e-4, DPO: 1.0e-4, EXAM_KEY: 3.0e-4},
        description="constant learning rate of each method",
    )
    value_learning_rate: Rate = Field(1.0e-2, description="learning rate of PPO's value head")
    truncation_penalty: Float = Field(
        0.5, ge=0, le=1e6, description="subtracted from the reward of a truncated reply"
    )
    eval_steps: Count = Field(20, description="steps between measurements on held-out prompts")
    eval_limit: Limit = Field(
        248, description="held-out prompts, and questions of each exam, measured; 0 means all"
    )
    exam: OptionalEvaluationSpec = Field(
        "mini_exam", description="exam that is scored at every measurement; empty means none"
    )
    primer_exam: OptionalEvaluationSpec = Field(
        "mini_exam_primer",
        description="exam of what the base knew before tuning, to measure forgetting; may be empty",
    )
    exam_key: OptionalTrainingQuestionSpec = Field(
        "mini_exam_train", description="training questions of grpo_exam_key; empty means none"
    )
    exam_key_shows_options: bool = Field(
        False, description="whether the prompts of grpo_exam_key list the options"
    )
    token_budget: int = Field(
        2048,
        ge=64,
        le=1000000,
        description="maximum number of tokens per batch; limits memory use",
    )
    sampling_token_budget: int = Field(
        16384,
        ge=64,
        le=1000000,
        description=(
            "maximum number of tokens per batch of sampled replies; no gradients are stored, so it"
            " may be larger"
        ),
    )
    save_steps: Count = Field(
        100, description="steps between checkpoints; above rl_steps: a policy has none"
    )

    def check_together(self) -> Iterator[str]:
        yield from check_model(self.model, self.chat_template)
        yield from limits.check_reply_end(self.model, self.chat_template)
        most = self.max_prompt_tokens + self.max_new_tokens
        keys = "max_prompt_tokens, max_new_tokens"
        yield from limits.check_length(self.model, keys, most)
        for name in ("token_budget", "sampling_token_budget"):
            if most > (budget := getattr(self, name)):
                yield f"{name}: {budget} is below {keys} together, {most}"
        if self.reward_max_length < most:
            yield (
                f"reward_max_length: {self.reward_max_length} is below {keys} together, {most}, so "
                "that pairs would be dropped; write a larger number"
            )
        if not any(self.prompts.values()):
            yield "prompts: every fraction is 0.0; use a part of at least one dataset"
        if self.eval_steps > self.rl_steps:
            yield f"eval_steps: {self.eval_steps} is above rl_steps, {self.rl_steps}; write less"
        yield from self._check_adapter()
        yield from self._check_rankers()
        yield from self._check_methods()

    @property
    def uses_judge(self) -> bool:
        """Whether the judge ranks replies or gives the gold reward."""
        return JUDGE in (*self.rankers, self.gold)

    def _check_adapter(self) -> Iterator[str]:
        if self.adapter.endswith(".safetensors"):
            yield f"adapter: {self.adapter} is a file; name its folder"
            return
        is_complete = (root() / self.adapter / "adapter_model.safetensors").is_file()
        if not is_complete and not self.adapter.startswith("outputs/"):  # step 02 writes those
            yield f"adapter: no adapter_model.safetensors in {self.adapter}; name a folder"

    def _check_rankers(self) -> Iterator[str]:
        names = [name_ranker(name) for name in self.rankers if name != JUDGE]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"rankers: two of them are called {name} in the tables; give a file another name"
        for name in self.rankers:
            if name in (RULE, JUDGE):
                continue
            if not name.endswith(RANKING_ENDINGS):
                hint = nearest(name, (RULE, JUDGE)) or f"; write {RULE}, {JUDGE}, or a file"
                yield f"rankers: {show(name)} is no ranker{hint}"
            elif name.startswith(f"outputs/{self.study}/{STEP}/"):
                yield (
                    f"rankers: {show(name)} is a result of this step, which replaces it; copy "
                    "ranking_sheet.csv to a folder outside outputs/, fill in the copy, and name it"
                )
            elif not name.startswith("outputs/") and not (root() / name).is_file():
                yield f"rankers: {show(name)}: no such file; write a path from the project root"
        if self.uses_judge and self.judge.kind == "local":
            yield from check_model(self.judge.model, "any", "judge.model")

    def _check_methods(self) -> Iterator[str]:
        for name in self.methods:
            if name not in self.learning_rates:
                yield f"learning_rates.{name}: missing, but methods has {name}; write a number"
        if EXAM_KEY in self.methods and not self.exam_key:
            yield f"exam_key: empty, but methods has {EXAM_KEY}; name a set of training questions"
        if DPO in self.methods and not self.kl_coefficient:
            yield (
                f"kl_coefficient: 0.0 makes the loss of {DPO} constant, so that nothing is "
                f"trained; write a number above 0, or remove {DPO} from methods"
            )
