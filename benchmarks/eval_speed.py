"""How much cheaper is scoring if shared text is computed once? Ours against the harness.

    pip install lm_eval==0.4.13
    python -m benchmarks.eval_speed                            # 300 questions, about an hour
    python -m benchmarks.eval_speed --questions 40 --vocabularies 1024

Three scorers answer the same 5-shot MedQA questions with the same fixed exemplars and the same
random Llama (8 layers, 512 wide, float32) in one process: ours; the harness in its best mode (one
forward per question, letters only); and the harness without its logits cache (one forward per
option). Time is processor time, which a busy machine changes little. The tokenizers are byte-level
BPEs of the vocabulary's size, trained on the questions. Rows go to eval_speed.csv. Compare the
ratios, which are within one run, and not the seconds.

    python -m benchmarks.eval_speed --model smollm2_135m --compute-dtype bfloat16 --questions 100
    python -m benchmarks.eval_speed --model smollm2_135m --rank 32 --questions 100

With a real model and its tokenizer instead (`fetch smollm2_135m` first), alone or with a random
LoRA of --rank, in float32 as PEFT saves it. "ours, PEFT's LoRA" is ours without `fused_lora`; the
harness gets the same PEFT model, without it too. In float32 all choices must be equal. In bfloat16
rounding depends on the shape of a batch. There, `ties` counts the other choices whose two options
differ in float32 by at most the spacing of bfloat16 at the largest logit. Rows go to
eval_speed_model.csv. `batch_size` is the harness's: on a CPU, 1 was its best for SmolLM2.

On a GPU: --size 7b, 13b, or 70b with --quantize nf4, and --questions 1000 (beyond the test half,
rows of the development set). The weights are random and made on the device, layer by layer; nothing
is downloaded. Rows go to eval_speed_gpu.csv; the columns that matter are wall_seconds and peak_mb.
"harness, vllm" needs vllm installed.
"""

import argparse
import contextlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator

import bitsandbytes as bnb
import torch
from benchmarks.harness_agreement import score_harness, score_ours
from benchmarks.tables import append
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from clinical_camel import data, eval_fewshot, models
from clinical_camel.estimate.shapes import SHAPES
from clinical_camel.models.fused_lora import fuse_lora, unfuse_lora

QUESTIONS = "medqa_us@data/public/medqa_us/medqa_us_test_shared.jsonl"
EXEMPLARS = "medqa_us_train@data/public/medqa_us/medqa_us_dev.jsonl"
TOKEN_BUDGET = 8192
SCORERS = (
    *("ours", "harness, best mode", "harness, four forwards", "harness, vllm"),
    "ours, PEFT's LoRA",
)
SPACING = 0.125  # of bfloat16 between 16 and 32, where the largest logit of a question lies
SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "max_position_embeddings": 8192,
}


def make_random_llama(vocabulary: int, texts: list[str]) -> models.LLM:
    """Return a random Llama and a byte-level BPE of this size, trained on the texts."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<pad>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **SHAPE)).eval()
    return models.LLM("random", model, wrapped, SHAPE["max_position_embeddings"])


def make_large_llama(size: str, quantize: str, texts: list[str]) -> models.LLM:
    """Return Llama 2 of this size with random weights, in 4 bit if `quantize` is nf4."""
    config = LlamaConfig(**SHAPES[f"meta-llama/Llama-2-{size}-hf"])
    tokenizer = make_random_llama(config.vocab_size, texts).tokenizer
    model = draw_weights(config, quantize)
    return models.LLM(size, model, tokenizer, config.max_position_embeddings)


def draw_weights(config: LlamaConfig, quantize: str) -> LlamaForCausalLM:
    """Return a Llama whose matrices are drawn and quantised one by one on the device."""
    place, dtype = models.device(), models.choose_dtype()
    torch.manual_seed(0)
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(dtype).eval()
    head = model.get_output_embeddings()
    for name, module in list(model.named_modules()):
        for kind, parameter in list(module.named_parameters(recurse=False)):
            drawn = torch.randn(parameter.shape, device=place, dtype=dtype) * 0.02
            if parameter.dim() == 1:  # a norm
                drawn = torch.ones_like(drawn)
            if quantize == "nf4" and isinstance(module, nn.Linear) and module is not head:
                packed = bnb.nn.Linear4bit(
                    *reversed(parameter.shape), bias=False, compute_dtype=dtype, device="meta"
                )
                packed.weight = bnb.nn.Params4bit(
                    drawn, requires_grad=False, quant_type="nf4", module=packed
                ).to(place)
                model.set_submodule(name, packed)
            else:
                setattr(module, kind, nn.Parameter(drawn, requires_grad=False))
    model.model.rotary_emb = LlamaRotaryEmbedding(config).to(place)
    return model


def load_model(name: str, compute_dtype: str, rank: int) -> models.LLM:
    """Load a model by name; with a `rank`, it has a random LoRA on all linear layers."""
    if not rank:
        return models.load(name, {"base": ""}, compute_dtype=compute_dtype)["base"]
    with tempfile.TemporaryDirectory() as folder:
        save_random_adapter(name, rank, folder)
        return models.load(name, {"random": folder}, compute_dtype=compute_dtype)["random"]


def save_random_adapter(name: str, rank: int, folder: str) -> None:
    """Save a LoRA in float32 as PEFT does, with non-zero values."""
    lora = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(models.load_base(name, compute_dtype="float32"), lora)
    torch.manual_seed(0)
    for weight in tuned.parameters():
        if weight.requires_grad:
            weight.data.copy_(torch.randn(weight.shape) * 0.02)
    tuned.peft_config["default"].base_model_name_or_path = name
    tuned.save_pretrained(folder, save_embedding_layers=False)


@contextlib.contextmanager
def use_stock_lora(llm: models.LLM) -> Iterator[None]:
    """Within this context, PEFT's own layers compute the adapter of a model."""
    llm.activate()
    unfuse_lora(fuse_lora(llm.model))
    try:
        yield
    finally:
        fuse_lora(llm.model)


def score_vllm(llm, name, questions, exemplars, protocol) -> dict[str, list[float]]:
    """Score with the harness on vllm, which reads the weights from a folder."""
    from lm_eval.models.vllm_causallms import VLLM

    with tempfile.TemporaryDirectory() as folder:
        llm.model.save_pretrained(folder)
        llm.tokenizer.save_pretrained(folder)
        backend = VLLM(pretrained=folder, dtype="auto", gpu_memory_utilization=0.4)
        return score_harness(llm, name, questions, exemplars, protocol, backend)


def score_batches(llm, name, questions, exemplars, protocol, batch_size) -> dict[str, list[float]]:
    """Score with the harness in batches of this size."""
    from lm_eval.models.huggingface import HFLM

    backend = HFLM(pretrained=llm.model, tokenizer=llm.tokenizer, batch_size=batch_size)
    return score_harness(llm, name, questions, exemplars, protocol, backend)


def score_uncached(llm, name, questions, exemplars, protocol) -> dict[str, list[float]]:
    """Score with the harness without its logits cache: one forward per option."""
    from lm_eval.models.huggingface import HFLM

    original = HFLM.__init__

    def init_without_cache(self, *args, **settings):
        original(self, *args, **settings | {"logits_cache": False})

    HFLM.__init__ = init_without_cache
    try:
        return score_harness(llm, name, questions, exemplars, protocol)
    finally:
        HFLM.__init__ = original


def measure_time(work: Callable[[], dict]) -> tuple[dict, float, float]:
    """Return the result of `work`, its processor seconds and its wall-clock seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def measure(
    llm: models.LLM, vocabulary: int, count: int, shots: int, scorers: list[str]
) -> Iterator[dict]:
    """Yield a row for each scorer as it ends, ours first."""
    for row, _ in measure_scorers(llm, vocabulary, count, shots, scorers):
        yield row


def measure_scorers(
    llm: models.LLM,
    vocabulary: int,
    count: int,
    shots: int,
    scorers: list[str],
    batch_size: int = 16,
) -> Iterator[tuple[dict, dict[str, list[float]]]]:
    """Yield a row for each scorer as it ends, ours first, with its log-likelihoods."""
    pool = data.load_training_questions(EXEMPLARS)
    questions = data.load_questions(QUESTIONS)
    exemplar_ids = {e.id for e in data.sample(pool, max(shots, 1))}
    more = data.load_questions(f"medqa_us@{EXEMPLARS.partition('@')[2]}")
    more = [q for q in more if q.id not in exemplar_ids][: max(0, count - len(questions))]
    questions = [*data.sample(questions, min(count, len(questions))), *more]
    design = eval_fewshot.Design(
        protocols=["harness_now"], num_shots=[shots], token_budget=TOKEN_BUDGET
    )
    protocol = eval_fewshot.PROTOCOLS["harness_now"].for_benchmark("medqa_us")
    exemplars = eval_fewshot.choose_exemplars("medqa_us", questions, pool, shots, design)
    exam = ("medqa_us", questions)
    work = {
        "ours": lambda: score_ours(llm, *exam, pool, design),
        "ours, PEFT's LoRA": lambda: score_ours(llm, *exam, pool, design),
        "harness, best mode": lambda: score_batches(llm, *exam, exemplars, protocol, batch_size),
        "harness, four forwards": lambda: score_uncached(llm, *exam, exemplars, protocol),
        "harness, vllm": lambda: score_vllm(llm, *exam, exemplars, protocol),
    }
    ours = {}
    for name in scorers:
        llm.counts.clear()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        with contextlib.nullcontext() if name == "ours" else use_stock_lora(llm):
            logprobs, cpu, wall = measure_time(work[name])
        ours = ours or {"logprobs": logprobs, "cpu": cpu, "wall": wall}
        pairs = [(logprobs[i], ours["logprobs"][i]) for i in logprobs]
        difference = max(abs(a - b) for pair in pairs for a, b in zip(*pair, strict=True))
        row = {
            "scorer": name,
            "vocabulary": vocabulary,
            "questions": len(pairs),
            "num_shots": shots,
            "cpu_seconds": round(cpu, 1),
            "wall_seconds": round(wall, 1),
            "cpu_ratio": round(cpu / ours["cpu"], 2),
            "wall_ratio": round(wall / ours["wall"], 2),
            "same_choice": sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs),
            "max_difference": f"{difference:.1e}",
            "peak_mb": measure_peak_mb(),
            **{k: llm.counts.get(k, "") for k in ("prefix_tokens", "row_tokens", "head_rows")},
        }
        yield row, logprobs


def measure_model(args: argparse.Namespace) -> Iterator[dict]:
    """Yield a row for each scorer of a real model; raise SystemExit for other choices in float32.

    In bfloat16, our scores in float32 are computed last, as the reference for ties.
    """
    llm = load_model(args.model, args.compute_dtype, args.rank)
    dtype = llm.source["dtype"]
    described = {"model": args.model, "compute_dtype": dtype, "rank": args.rank}
    described |= {"batch_size": args.batch_size}
    vocabulary = llm.model.get_input_embeddings().num_embeddings
    sizes = (vocabulary, args.questions, args.shots)
    rows, scores = [], {}
    for row, logprobs in measure_scorers(llm, *sizes, args.scorers, args.batch_size):
        print(row, flush=True)
        rows.append(row)
        scores[row["scorer"]] = logprobs
    exact = scores["ours"]
    if dtype != "float32":
        reference = load_model(args.model, "float32", args.rank)
        ((_, exact),) = measure_scorers(reference, *sizes, ["ours"])
    for row in rows:
        changed = find_other_choices(scores[row["scorer"]], scores["ours"])
        if changed and dtype == "float32":
            raise SystemExit(f"{row['scorer']}: other choices than ours in float32: {changed}")
        margins = [exact[i][a] - exact[i][b] for i, (a, b) in changed.items()]
        ties = sum(abs(margin) <= SPACING for margin in margins)
        from_exact = len(find_other_choices(scores[row["scorer"]], exact))
        yield described | row | {"ties": ties, "other_choices_than_float32": from_exact}


def find_other_choices(
    scores: dict[str, list[float]], reference: dict[str, list[float]]
) -> dict[str, tuple[int, int]]:
    """Return, for each question with another choice, the choice and that of the reference."""
    choices = {
        i: (a.index(max(a)), b.index(max(b))) for i, a in scores.items() for b in [reference[i]]
    }
    return {i: pair for i, pair in choices.items() if pair[0] != pair[1]}


def measure_peak_mb() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--vocabularies", nargs="*", type=int, default=[1024, 32_000])
    parser.add_argument("--size", default="", choices=["7b", "13b", "70b"], help="on a GPU")
    parser.add_argument("--quantize", default="", choices=["", "nf4"])
    parser.add_argument("--model", default="", help="a real model, such as smollm2_135m")
    parser.add_argument("--compute-dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--rank", type=int, default=0, help="of a random LoRA; 0: no adapter")
    parser.add_argument("--batch-size", type=int, default=1, help="of the harness, with --model")
    parser.add_argument("--scorers", nargs="*", default=[], choices=SCORERS)
    args = parser.parse_args()
    if args.model:
        stock = ["ours, PEFT's LoRA"] if args.rank else []
        args.scorers = args.scorers or ["ours", *stock, "harness, best mode"]
        for row in measure_model(args):
            append("eval_speed_model", row)
        return
    args.scorers = args.scorers or list(SCORERS[:3])
    texts = [data.format_question(q) for q in data.load_questions(QUESTIONS)]
    texts += [data.format_question(q) for q in data.load_training_questions(EXEMPLARS)]
    if args.size:
        llm = make_large_llama(args.size, args.quantize, texts)
        for row in measure(llm, 32_000, args.questions, args.shots, args.scorers):
            append("eval_speed_gpu", {"size": args.size, "quantize": args.quantize} | row)
        return
    for vocabulary in args.vocabularies:
        llm = make_random_llama(vocabulary, texts)
        for row in measure(llm, vocabulary, args.questions, args.shots, args.scorers):
            append("eval_speed", row)


if __name__ == "__main__":
    main()
