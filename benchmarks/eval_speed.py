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

On a GPU: --size 7b, 13b, or 70b with --quantize nf4, and --questions 1000 (beyond the test half,
rows of the development set). The weights are random and made on the device, layer by layer; nothing
is downloaded. Rows go to eval_speed_gpu.csv; the columns that matter are wall_seconds and peak_mb.
"harness, vllm" needs vllm installed.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator

import bitsandbytes as bnb
import torch
from benchmarks.harness_agreement import score_harness, score_ours
from benchmarks.tables import append
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from clinical_camel import data, eval_fewshot, models
from clinical_camel.estimate.shapes import SHAPES

QUESTIONS = "medqa_us@data/public/medqa_us/medqa_us_test_shared.jsonl"
EXEMPLARS = "medqa_us_train@data/public/medqa_us/medqa_us_dev.jsonl"
TOKEN_BUDGET = 8192
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


def score_vllm(llm, name, questions, exemplars, protocol) -> dict[str, list[float]]:
    """Score with the harness on vllm, which reads the weights from a folder."""
    from lm_eval.models.vllm_causallms import VLLM

    with tempfile.TemporaryDirectory() as folder:
        llm.model.save_pretrained(folder)
        llm.tokenizer.save_pretrained(folder)
        backend = VLLM(pretrained=folder, dtype="auto", gpu_memory_utilization=0.4)
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
        "harness, best mode": lambda: score_harness(llm, *exam, exemplars, protocol),
        "harness, four forwards": lambda: score_uncached(llm, *exam, exemplars, protocol),
        "harness, vllm": lambda: score_vllm(llm, *exam, exemplars, protocol),
    }
    ours = {}
    for name in scorers:
        llm.counts.clear()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        logprobs, cpu, wall = measure_time(work[name])
        ours = ours or {"logprobs": logprobs, "cpu": cpu, "wall": wall}
        pairs = [(logprobs[i], ours["logprobs"][i]) for i in logprobs]
        difference = max(abs(a - b) for pair in pairs for a, b in zip(*pair, strict=True))
        yield {
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
    scorers = ["ours", "harness, best mode", "harness, four forwards", "harness, vllm"]
    parser.add_argument("--scorers", nargs="*", default=scorers[:3], choices=scorers)
    args = parser.parse_args()
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
