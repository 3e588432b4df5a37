"""Builds the embedded study: its material and its small base model.

    python -m clinical_camel.mini.build              material and base, about 40 minutes on 2 cores
    python -m clinical_camel.mini.build --material   the material alone, in a second

Everything is drawn from seeded generators over sorted or listed data, never from a set, so the same
script gives the same tokenizer under any PYTHONHASHSEED. `build.json` holds the hashes of what went
in; a test compares them with the files as they are now.
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
# Two phases, each with an optimiser of its own. "copy": short contexts first, then long ones, until
# the model uses what it has just read. "recall": the same fixed conditions, few fresh ones, until
# it also knows what it has read before. Lengths in tokens, batches in blocks of that length.
LESSONS = 24_000
ASKED_AGAIN = 40  # fixed conditions in the exam that shows what tuning makes the base forget
PHASES = {
    "copy": {
        "primer": {"fixed": 60, "fresh": 120, "asked": 0.8, "passes": 40},
        "stages": {"lessons": (192, 16), "primer": (768, 4)},
        "peak_rate": 3e-3,
        "last_rate": 2e-4,
        "warmup": 60,
        "hold": 0.5,
    },
    "recall": {
        "primer": {"fixed": 240, "fresh": 30, "asked": 0.2, "passes": 40},
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
# The base of the embedded study

*Research and teaching only: not for use in care.* It knows no medicine at all.

A Llama of {parameters:,} parameters with a byte-level BPE of {vocabulary:,} tokens, made for the
embedded study of this project by `python -m clinical_camel.mini.build` from a fixed seed. Its
architecture allows a context of {context:,} tokens; it was trained on contexts of up to {longest},
and nothing is known about it beyond.

**Trained on** {tokens:,} tokens of a *primer*: invented conditions with invented findings, told as
articles, dialogues, exam questions and visits, and small talk. None of its conditions bears a real
one's name (a test checks it). Half of the invented findings are words of the study's own articles
in meaningless order, for tuning can hardly teach a word that was never seen; only the tokenizer has
seen the sentences.

**For** showing on a laptop what dialogue-based knowledge encoding and QLoRA do to a model that
starts without the knowledge. **Not for** anything else: it answers every question in the same
assured tone. What it says about real medicine is noise before tuning; after it,
remembered phrases, often of another condition.

**Limits.** It copies names and phrases from its context, remembers what it was shown often, and
does not reason. Its exam scores before and after tuning, with intervals and chance level, are in
`outputs/mini_camel/03_eval_fewshot`.
"""


def write_material() -> None:
    """Articles, exams, chat and consultations: the JSONL files that README.md lists.

    The articles of the development half are a file of their own, so that choosing a recipe teaches
    no condition of the exam, and the study none of the development half.
    """
    rng = random.Random(SEED)
    facts, also_right = material.read_facts(), material.read_also_right()
    articles = {f.condition: material.write_article(f, rng) for f in facts}
    for splits, name in {("exam", "train"): "articles", ("dev", "train"): "articles_dev"}.items():
        _write(name, [articles[f.condition] for f in material.read_facts(*splits)])
    for split, name in {"exam": "exam", "dev": "exam_dev", "train": "exam_train"}.items():
        asked = material.read_facts(split)
        questions = material.write_questions(asked, asked, SEED, also_right)
        _write(name, material.mix_places(questions, SEED))
    known = primer.known_facts(SEED, PHASES["recall"]["primer"]["fixed"])[:ASKED_AGAIN]
    questions = material.write_questions(known, known, SEED)
    _write("exam_primer", material.mix_places(questions, SEED))
    consulted = [f for f in facts if f.condition in visits.CONSULTED]
    _write("consultations", [visits.write_consultation(f, rng) for f in consulted])
    chats = [visits.write_chat(i, rng) for i in range(60)]
    chats += [invented_visit(i, rng) for i in range(30)]
    _write("chat", map(sharegpt, chats))


def invented_visit(index: int, rng: random.Random) -> data.Dialogue:
    """A request for a note and the note, on a patient nobody has: the base can do this already.

    In the general chat it is what keeps tuning from wiping it out.
    """
    visit = visits.write_consultation(primer.invent_fact(rng), rng)
    messages = [
        *note_synthesis.build_messages(visit),
        {"role": "assistant", "content": visit.note},
    ]
    return data.Dialogue(id=f"visit-{index:03d}", source="chat", messages=messages)


def sharegpt(dialogue: data.Dialogue) -> dict:
    """A dialogue in the shape of the ShareGPT files."""
    speaker = {"user": "human", "assistant": "gpt"}
    turns = [{"from": speaker[m["role"]], "value": m["content"]} for m in dialogue.messages]
    return {"id": dialogue.id, "conversations": turns}


def _write(name: str, rows: Iterable) -> None:
    lines = [
        json.dumps(row if isinstance(row, dict) else data.to_dict(row), ensure_ascii=False)
        for row in rows
    ]
    (HERE / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of VOCABULARY tokens; digits stand alone; BOS is added to plain text."""
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


def tokenizer_texts() -> Iterator[str]:
    """What the tokenizer is trained on: a pass of the primer, and the study's own articles."""
    blank = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(BPE()), bos_token="<s>", eos_token="</s>"
    )
    blank.chat_template = models.TEMPLATES["mini"]
    for context in primer.primer_texts(blank, seed=SEED, **_one_pass("copy")):
        yield from context
    rng = random.Random(SEED)
    for fact in material.read_facts():
        yield data.article_text(material.write_article(fact, rng, material.ATTRIBUTES))


def _one_pass(phase: str) -> dict:
    return {**PHASES[phase]["primer"], "passes": 1}


def batches(tokenizer: PreTrainedTokenizerFast, phase: str) -> list[list[list[int]]]:
    """Every step's token ids, stage after stage."""
    contexts = {
        "lessons": primer.lessons(tokenizer, LESSONS, SEED),
        "primer": primer.primer_texts(tokenizer, seed=SEED, **PHASES[phase]["primer"]),
    }
    steps = []
    for name, (length, size) in PHASES[phase]["stages"].items():
        rows = list(blocks(tokenizer, contexts[name], length))
        random.Random(SEED).shuffle(rows)
        steps += [rows[end - size : end] for end in range(size, len(rows) + 1, size)]
    return steps


def blocks(
    tokenizer: PreTrainedTokenizerFast, contexts: Iterable[list[str]], length: int
) -> Iterator[list[int]]:
    """Whole contexts side by side in blocks of at most `length` tokens."""
    block: list[int] = []
    for context in contexts:
        ids = [i for text in context for i in models.encode(tokenizer, text)][:length]
        if len(block) + len(ids) > length:
            yield block
            block = []
        block += ids
    yield block


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
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
    """One pass over the texts of a phase, every token trained: AdamW, warm-up, plateau, cosine.

    Returns how many tokens that were.
    """
    model.train()
    steps = batches(tokenizer, phase)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate(step, len(steps), PHASES[phase])
    )
    bar = tqdm(steps, desc=f"pre-training, {phase}", unit="step")
    for batch in bar:
        width = max(map(len, batch))
        ids = torch.tensor([[*r, *[tokenizer.pad_token_id] * (width - len(r))] for r in batch])
        labels = ids.masked_fill(ids == tokenizer.pad_token_id, models.IGNORE)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        bar.set_postfix(loss=f"{loss.item():.3f}")
    return sum(len(row) for batch in steps for row in batch)


def rate(step: int, steps: int, phase: dict) -> float:
    """The learning rate of a step: linear warm-up, a plateau, then cosine from peak to last."""
    if step < phase["warmup"]:
        return phase["peak_rate"] * (step + 1) / phase["warmup"]
    share = max(0.0, (step / steps - phase["hold"]) / (1 - phase["hold"]))
    fall = phase["peak_rate"] - phase["last_rate"]
    return phase["last_rate"] + fall * (1 + math.cos(math.pi * share)) / 2


def ingredients(tokenizer: PreTrainedTokenizerFast) -> dict[str, str]:
    """Hashes of what the base is made from: the recipe's values, the tokenizer, some of the text.

    The primer as text, not the script: a change of prose here does not make the base stale, a
    change of a wording, a template or a prompt does.
    """
    recipe = [SEED, SPECIAL, VOCABULARY, CONTEXT, ARCHITECTURE, LESSONS, PHASES]
    texts = list(primer.lessons(tokenizer, 1000, SEED))
    for phase in PHASES:
        texts += primer.primer_texts(tokenizer, seed=SEED, **_one_pass(phase))
    parts = {"recipe": recipe, "vocabulary": tokenizer.get_vocab(), "text": texts}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]
        for name, part in parts.items()
    }


def build_base() -> None:
    start = time.monotonic()
    tokenizer = build_tokenizer(tokenizer_texts())
    model, tokens = new_model(tokenizer), 0
    for phase in PHASES:
        tokens += pretrain(model, tokenizer, phase)
    save_base(model, tokenizer, tokens)
    print(f"base of {model.num_parameters():,} parameters in {time.monotonic() - start:.0f} s")


def save_base(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, tokens: int) -> None:
    """Weights, tokenizer, template and card in base/, and build.json beside it."""
    folder = HERE / "base"
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record = {
        "ingredients": ingredients(tokenizer),
        "weights_sha256": models.file_hash(folder),
        "parameters": model.num_parameters(),
        "tokens": tokens,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    (HERE / "build.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    longest = max(length for p in PHASES.values() for length, _ in p["stages"].values())
    card = CARD.format(vocabulary=VOCABULARY, context=CONTEXT, longest=longest, **record)
    (folder / "README.md").write_text(card, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--material", action="store_true", help="write the material, not the base")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    write_material()
    if not arguments.material:
        build_base()


if __name__ == "__main__":
    main()
