"""Build the texts and the small base model of the embedded study.

    python -m clinical_camel.mini.build              texts and base model, about 40 min on 2 cores
    python -m clinical_camel.mini.build --material   only the texts, in a second

All random choices are seeded and read lists, never sets, so the tokenizer is the same under any
PYTHONHASHSEED. `build.json` records the hashes of the inputs; a test compares them with the current
ones.
"""

import argparse
import hashlib
import json
import math
import random
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel import data, models, note_synthesis
from clinical_camel.mini import material, primer, visits

HERE = Path(__file__).parent
SEED = 0
SPECIAL = ("<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
VOCABULARY = 2048
CONTEXT = 4096
ARCHITECTURE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "rope_theta": 10000.0,
}
LESSONS = 24_000
EXAM_CONDITIONS = 40  # fixed conditions in mini_exam_primer, which measures forgetting
# Two phases, each with a new optimizer. "copy": short contexts first, then long ones, until the
# model copies from its context. "recall": mostly fixed conditions, until it recalls them as well.
# A stage: tokens in a block, blocks in a batch.
PHASES = {
    "copy": {
        "primer": {"fixed": 60, "fresh": 120, "exam_share": 0.8, "passes": 40},
        "stages": {"lessons": (192, 16), "primer": (768, 4)},
        "peak_rate": 3e-3,
        "last_rate": 2e-4,
        "warmup": 60,
        "hold": 0.5,
    },
    "recall": {
        "primer": {"fixed": 240, "fresh": 30, "exam_share": 0.2, "passes": 40},
        "stages": {"primer": (768, 6)},
        "peak_rate": 2.5e-3,
        "last_rate": 2.5e-4,
        "warmup": 20,
        "hold": 0.0,
    },
}
CARD = """---
license: cc-by-4.0
language: en
---
# The base model of the embedded study

*Research and teaching only: not for use in care.* It knows no medicine at all.

A Llama of {parameters:,} parameters with a byte-level BPE of {vocabulary:,} tokens. It was made
for the embedded study by `python -m clinical_camel.mini.build` from a fixed seed. Its
architecture allows a context of {context:,} tokens. It was trained on contexts of up to {longest}
tokens; longer ones are untested.

**Training data.** {tokens:,} tokens of a *primer*: articles, dialogues, exam questions and visits
about invented conditions with invented findings, and small talk. No condition has the name of a
real one (tested). Half of the invented findings are words of the study's own articles in random
order, because tuning can hardly teach a word that the model has never seen. Only the tokenizer
has seen the sentences.

**Intended use.** To show on a laptop what dialogue-based knowledge encoding and QLoRA do to a
model that starts without the knowledge. Not for anything else: it answers every question in the
same confident tone. What it says about real medicine is noise before tuning. After tuning it is
remembered phrases, often of another condition.

**Limits.** It copies names and phrases from its context, remembers what it saw often, and does
not reason. Its exam scores before and after tuning, with intervals and chance level, are in
`outputs/mini_camel/03_eval_fewshot`.
"""


def write_material() -> None:
    """Write articles, exams, chat and consultations: the JSONL files that README.md lists.

    The development half has its own articles: recipes are chosen without the exam's conditions, and
    the study trains on none of the development half.
    """
    rng = random.Random(SEED)
    facts, also_right = material.read_facts(), material.read_also_right()
    articles = {f.condition: material.write_article(f, rng) for f in facts}
    for splits, name in {("exam", "train"): "articles", ("dev", "train"): "articles_dev"}.items():
        _write_jsonl(name, [articles[f.condition] for f in material.read_facts(*splits)])
    for split, name in {"exam": "exam", "dev": "exam_dev", "train": "exam_train"}.items():
        chosen = material.read_facts(split)
        questions = material.write_questions(chosen, chosen, SEED, also_right)
        _write_jsonl(name, material.shuffle_positions(questions, SEED))
    fixed_count = PHASES["recall"]["primer"]["fixed"]
    fixed_facts = primer.invent_fixed_facts(SEED, fixed_count)[:EXAM_CONDITIONS]
    questions = material.write_questions(fixed_facts, fixed_facts, SEED)
    _write_jsonl("exam_primer", material.shuffle_positions(questions, SEED))
    visited = [f for f in facts if f.condition in visits.read_settings()]
    _write_jsonl("consultations", [visits.write_consultation(f, rng) for f in visited])
    chats = [visits.write_chat(i, rng) for i in range(60)]
    chats += [_write_invented_visit(i, rng) for i in range(30)]
    _write_jsonl("chat", map(_to_sharegpt, chats))


def _write_invented_visit(index: int, rng: random.Random) -> data.Dialogue:
    """Return a request for a note of an invented visit, and the note.

    The base model can write such notes; in the chat data they keep it from forgetting how.
    """
    visit = visits.write_consultation(primer.invent_fact(rng), rng)
    note = {"role": "assistant", "content": visit.note}
    messages = [*note_synthesis.build_messages(visit), note]
    return data.Dialogue(id=f"visit-{index:03d}", source="chat", messages=messages)


def _to_sharegpt(dialogue: data.Dialogue) -> dict:
    """Return a dialogue as a row of a ShareGPT file."""
    speaker = {"user": "human", "assistant": "gpt"}
    turns = [{"from": speaker[m["role"]], "value": m["content"]} for m in dialogue.messages]
    return {"id": dialogue.id, "conversations": turns}


def _write_jsonl(name: str, rows: Iterable) -> None:
    lines = [
        json.dumps(row if isinstance(row, dict) else data.to_dict(row), ensure_ascii=False)
        for row in rows
    ]
    (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of VOCABULARY tokens; a digit is a token, plain text gets a BOS."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(SPECIAL[3:]),
        chat_template=models.TEMPLATES["mini"],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def iter_tokenizer_texts() -> Iterator[str]:
    """Yield the texts for the tokenizer: one pass of the primer, and the study's articles."""
    blank = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(BPE()), bos_token="<s>", eos_token="</s>"
    )
    blank.chat_template = models.TEMPLATES["mini"]
    for context in primer.iter_primer(blank, seed=SEED, **_one_pass("copy")):
        yield from context
    rng = random.Random(SEED)
    for fact in material.read_facts():
        yield data.format_article(material.write_article(fact, rng, material.ATTRIBUTES))


def _one_pass(phase: str) -> dict:
    return {**PHASES[phase]["primer"], "passes": 1}


def build_batches(tokenizer: PreTrainedTokenizerFast, phase: str) -> list[list[list[int]]]:
    """Return the token ids of every optimizer step, in the order of the stages."""
    contexts = {
        "lessons": primer.iter_lessons(tokenizer, LESSONS, SEED),
        "primer": primer.iter_primer(tokenizer, seed=SEED, **PHASES[phase]["primer"]),
    }
    steps = []
    for name, (length, size) in PHASES[phase]["stages"].items():
        rows = list(pack_contexts(tokenizer, contexts[name], length))
        random.Random(SEED).shuffle(rows)
        steps += [rows[end - size : end] for end in range(size, len(rows) + 1, size)]
    return steps


def pack_contexts(
    tokenizer: PreTrainedTokenizerFast, contexts: Iterable[list[str]], length: int
) -> Iterator[list[int]]:
    """Yield blocks of complete contexts, each of at most `length` tokens."""
    block: list[int] = []
    for context in contexts:
        ids = [i for text in context for i in models.tokenize_text(tokenizer, text)][:length]
        if len(block) + len(ids) > length:
            yield block
            block = []
        block += ids
    yield block


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    torch.manual_seed(SEED)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **ARCHITECTURE,
        )
    )


def pretrain(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, phase: str) -> int:
    """Train on every token of a phase once, with AdamW; return the number of tokens."""
    model.train()
    steps = build_batches(tokenizer, phase)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: compute_learning_rate(step, len(steps), PHASES[phase])
    )
    bar = tqdm(steps, desc=f"pretraining, {phase}", unit="step")
    for batch in bar:
        width = max(map(len, batch))
        ids = torch.tensor([[*r, *[tokenizer.pad_token_id] * (width - len(r))] for r in batch])
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, models.IGNORE_INDEX)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return sum(len(row) for batch in steps for row in batch)


def compute_learning_rate(step: int, steps: int, phase: dict) -> float:
    """Return the learning rate of a step: linear warm-up, plateau, then cosine decay."""
    if step < phase["warmup"]:
        return phase["peak_rate"] * (step + 1) / phase["warmup"]
    share = max(0.0, (step / steps - phase["hold"]) / (1 - phase["hold"]))
    fall = phase["peak_rate"] - phase["last_rate"]
    return phase["last_rate"] + fall * (1 + math.cos(math.pi * share)) / 2


def hash_inputs(tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """Return hashes of the recipe, the vocabulary and a part of the primer.

    The primer is hashed as text, not as code: a changed comment leaves the base model valid, a
    changed wording, template or prompt does not.
    """
    recipe = [SEED, SPECIAL, VOCABULARY, CONTEXT, ARCHITECTURE, LESSONS, PHASES]
    texts = list(primer.iter_lessons(tokenizer, 1000, SEED))
    for phase in PHASES:
        texts += primer.iter_primer(tokenizer, seed=SEED, **_one_pass(phase))
    parts = {"recipe": recipe, "vocabulary": tokenizer.get_vocab(), "text": texts}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]
        for name, part in parts.items()
    }


def build_base() -> None:
    start = time.monotonic()
    tokenizer = build_tokenizer(iter_tokenizer_texts())
    model, tokens = make_model(tokenizer), 0
    for phase in PHASES:
        tokens += pretrain(model, tokenizer, phase)
    save_base(model, tokenizer, tokens)
    print(f"base of {model.num_parameters():,} parameters in {time.monotonic() - start:.0f} s")


def save_base(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tokens: int) -> None:
    """Write weights, tokenizer, template and card to base/, and build.json."""
    folder = HERE / "base"
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record = {
        "inputs": hash_inputs(tokenizer),
        "weights_sha256": models.hash_weights(folder),
        "parameters": model.num_parameters(),
        "tokens": tokens,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    (HERE / "build.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(format_card(record), encoding="utf-8")


def format_card(record: dict) -> str:
    """Return the model card of the base model from its record in build.json."""
    longest = max(length for p in PHASES.values() for length, _ in p["stages"].values())
    return CARD.format(vocabulary=VOCABULARY, context=CONTEXT, longest=longest, **record)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--material", action="store_true", help="write only the texts, not the base model"
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    write_material()
    if not arguments.material:
        build_base()


if __name__ == "__main__":
    main()
