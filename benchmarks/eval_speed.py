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

On a GPU, where a model is to be had: --model <folder or hub id> --quantize nf4 --questions 1000,
which takes wall-clock time and peak memory in place of processor time.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterator

import torch
from harness_agreement import ask_harness, ask_us
from mini_effect import append
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel import data, eval_fewshot, models

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
    questions = data.load_questions(QUESTIONS, count)
    design = eval_fewshot.Design(["harness_now"], [shots])
    protocol = eval_fewshot.PROTOCOLS["harness_now"].on("medqa_us")
    shown = design.shown("medqa_us", pools, questions, shots)
    asked = ("medqa_us", questions)
    work = {
        "ours": lambda: ask_us(llm, *asked, pools, design),
        "harness, best mode": lambda: ask_harness(llm, *asked, shown, protocol),
        "harness, four forwards": lambda: four_forwards(llm, *asked, shown, protocol),
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
    parser.add_argument("--model", default="", help="in place of the random Llamas")
    parser.add_argument("--quantize", default="")
    scorers = ["ours", "harness, best mode", "harness, four forwards"]
    parser.add_argument("--scorers", nargs="*", default=scorers, choices=scorers)
    asked = parser.parse_args()
    texts = [data.question_text(q) for q in data.load_questions(QUESTIONS)]
    texts += [data.question_text(q) for q in data.load_training_questions(EXAMPLES)]
    for vocabulary in [0] if asked.model else asked.vocabularies:
        llm = (
            models.load(asked.model, {"base": ""}, asked.quantize)["base"]
            if asked.model
            else random_llama(vocabulary, texts)
        )
        for row in measure(llm, vocabulary, asked.questions, asked.shots, asked.scorers):
            append("eval_speed", row)


if __name__ == "__main__":
    main()
