"""How much cheaper is scoring, if what questions share is computed once? Beside the harness.

    pip install lm_eval==0.4.13
    python benchmarks/eval_speed.py                            # 300 questions, about an hour
    python benchmarks/eval_speed.py --questions 40 --vocabularies 1024

The same 5-shot MedQA questions, the same fixed examples, the same random Llama (8 layers, 512 wide,
float32), answered in one process by three scorers: ours; the harness in its best mode (one forward
a question, letters only); and the harness without its logits cache (one forward an option). Time is
processor time, so that a busy machine changes it little; the tokenizers are byte-level BPEs of the
vocabulary's size, made from the questions themselves. Rows go to eval_speed.csv, counts with them;
the ratios are within a run, so compare them and not the seconds.

On a GPU: --size 7b, 13b, or 70b with --quantize nf4, and --questions 1000 (beyond the test half
they are rows of the development set). The weights are random and made on the device, layer by
layer; nothing is downloaded. Rows go to eval_speed_gpu.csv: look at wall_seconds and peak_mb.
"harness, vllm" needs vllm beside it.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator

import bitsandbytes as bnb
import torch
from harness_agreement import ask_harness, ask_us
from mini_effect import append
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from clinical_camel import data, eval_fewshot, models
from clinical_camel.estimate.shapes import SHAPES

QUESTIONS = "medqa_us@data/public/medqa_us/medqa_us_test_shared.jsonl"
EXAMPLES = "medqa_us_train@data/public/medqa_us/medqa_us_dev.jsonl"
SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "max_position_embeddings": 8192,
}


def random_llama(vocabulary: int, texts: list[str]) -> models.LLM:
    """A Llama of random weights, with a byte-level BPE of this size made from the texts."""
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


def large_llama(size: str, quantize: str, texts: list[str]) -> models.LLM:
    """Llama 2 of this size with random weights, in 4 bit if `quantize` is nf4."""
    config = LlamaConfig(**SHAPES[f"meta-llama/Llama-2-{size}-hf"])
    tokenizer = random_llama(config.vocab_size, texts).tokenizer
    model = random_weights(config, quantize)
    return models.LLM(size, model, tokenizer, config.max_position_embeddings)


def random_weights(config: LlamaConfig, quantize: str) -> LlamaForCausalLM:
    """A Llama whose matrices are drawn and quantised one by one on the device."""
    place, dtype = models.device(), models.compute_dtype()
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


def vllm(llm, name, questions, shown, protocol) -> dict[str, list[float]]:
    """The harness on vllm, which wants the weights in a folder."""
    from lm_eval.models.vllm_causallms import VLLM

    with tempfile.TemporaryDirectory() as folder:
        llm.model.save_pretrained(folder)
        llm.tokenizer.save_pretrained(folder)
        backend = VLLM(pretrained=folder, dtype="auto", gpu_memory_utilization=0.4)
        return ask_harness(llm, name, questions, shown, protocol, backend)


def four_forwards(llm, name, questions, shown, protocol) -> dict[str, list[float]]:
    """The harness without its logits cache: each option costs a forward of its own."""
    from lm_eval.models.huggingface import HFLM

    plain = HFLM.__init__

    def without(self, *args, **settings):
        plain(self, *args, **settings | {"logits_cache": False})

    HFLM.__init__ = without
    try:
        return ask_harness(llm, name, questions, shown, protocol)
    finally:
        HFLM.__init__ = plain


def timed(work: Callable[[], dict]) -> tuple[dict, float, float]:
    """What `work` returns, its processor seconds and its wall-clock seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.process_time() - cpu, time.perf_counter() - wall


def measure(
    llm: models.LLM, vocabulary: int, count: int, shots: int, scorers: list[str]
) -> Iterator[dict]:
    """Yields a row for each scorer as it ends, ours first."""
    pools = {"medqa_us": data.load_training_questions(EXAMPLES)}
    questions = data.load_questions(QUESTIONS)
    examples = {e.id for e in data.sample(pools["medqa_us"], max(shots, 1))}
    more = data.load_questions(f"medqa_us@{EXAMPLES.partition('@')[2]}")
    more = [q for q in more if q.id not in examples][: max(0, count - len(questions))]
    questions = [*data.sample(questions, min(count, len(questions))), *more]
    design = eval_fewshot.Design(["harness_now"], [shots])
    protocol = eval_fewshot.PROTOCOLS["harness_now"].on("medqa_us")
    shown = design.shown("medqa_us", pools, questions, shots)
    asked = ("medqa_us", questions)
    work = {
        "ours": lambda: ask_us(llm, *asked, pools, design),
        "harness, best mode": lambda: ask_harness(llm, *asked, shown, protocol),
        "harness, four forwards": lambda: four_forwards(llm, *asked, shown, protocol),
        "harness, vllm": lambda: vllm(llm, *asked, shown, protocol),
    }
    ours = {}
    for name in scorers:
        llm.counts.clear()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        found, cpu, wall = timed(work[name])
        ours = ours or {"found": found, "cpu": cpu, "wall": wall}
        same = [max(range(4), key=found[i].__getitem__) for i in found]
        first = [max(range(4), key=ours["found"][i].__getitem__) for i in found]
        apart = max(
            abs(a - b) for i in found for a, b in zip(found[i], ours["found"][i], strict=True)
        )
        yield {
            "scorer": name,
            "vocabulary": vocabulary,
            "questions": len(found),
            "num_shots": shots,
            "cpu_seconds": round(cpu, 1),
            "wall_seconds": round(wall, 1),
            "cpu_ratio": round(cpu / ours["cpu"], 2),
            "wall_ratio": round(wall / ours["wall"], 2),
            "same_choice": sum(a == b for a, b in zip(same, first, strict=True)),
            "max_difference": f"{apart:.1e}",
            "peak_mb": peak_mb(),
            **{k: llm.counts.get(k, "") for k in ("prefix_tokens", "row_tokens", "head_rows")},
        }


def peak_mb() -> int:
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
    asked = parser.parse_args()
    texts = [data.question_text(q) for q in data.load_questions(QUESTIONS)]
    texts += [data.question_text(q) for q in data.load_training_questions(EXAMPLES)]
    if asked.size:
        llm = large_llama(asked.size, asked.quantize, texts)
        for row in measure(llm, 32_000, asked.questions, asked.shots, asked.scorers):
            append("eval_speed_gpu", {"size": asked.size, "quantize": asked.quantize} | row)
        return
    for vocabulary in asked.vocabularies:
        llm = random_llama(vocabulary, texts)
        for row in measure(llm, vocabulary, asked.questions, asked.shots, asked.scorers):
            append("eval_speed", row)


if __name__ == "__main__":
    main()
