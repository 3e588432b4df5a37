"""Build the texts and the small base models of the embedded study.

    python -m clinical_camel.mini.build               texts and base model, about 40 min on 2 cores
    python -m clinical_camel.mini.build --material    only the texts, in a second
    python -m clinical_camel.mini.build --size 4m     a larger base model, in data/models/mini_4m

All random choices are seeded and read lists, never sets, so the tokenizer is the same under any
PYTHONHASHSEED. `build.json` records the hashes of the inputs; a test compares them with the current
ones. A model of another size has the tokenizer of the shipped one and records the same in its
folder (provenance.json).
"""

import argparse
import csv
import hashlib
import json
import random
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from clinical_camel import data, models, note_synthesis
from clinical_camel.core.base_models import SHIPPED, find_folder
from clinical_camel.core.files import hash_folder, now, read_json, write_json
from clinical_camel.core.paths import relative
from clinical_camel.mini import exams, material, pretraining, primer, records, visits
from clinical_camel.mini.sizes import (
    CONTEXT,
    LESSONS,
    PHASES,
    SEED,
    SHIPPED_SIZE,
    SIZES,
    VOCABULARY,
    Size,
)

HERE = Path(__file__).parent
SPECIAL = ("<pad>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
RECORDS = 5  # training records of each condition with a visit
EXAM_CONDITIONS = 40  # fixed conditions in mini_exam_primer, which measures forgetting
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
PROVENANCE = "provenance.json"
CARD = """---
license: cc-by-4.0
language: en
---
# The base model of the embedded study

*Research and teaching only: not for use in care.* It knows no medicine at all.

A Llama of {parameters:,} parameters with a byte-level BPE of {vocabulary:,} tokens. It was made
for the embedded study by `{command}` from a fixed seed. Its
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
not reason. {scores}
"""
SCORES = """Its exam scores before and after tuning, with intervals and chance level, are in
`outputs/mini_camel/03_eval_fewshot`."""
OTHER_SCORES = """It differs from the shipped model `mini` in its width and learning rates only.
How exam scores depend on the size is a question of the study `dbke_sizes`."""
COMMAND = "python -m clinical_camel.mini.build"


class BuildError(Exception):
    """A base model of another size cannot be built here."""


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
        questions = material.shuffle_positions(questions, SEED)
        _write_jsonl(name, questions)
        if split != "train":
            _write_further_exams(name, questions, chosen)
    fixed_count = PHASES["recall"]["primer"]["fixed"]
    fixed_facts = primer.invent_fixed_facts(SEED, fixed_count)[:EXAM_CONDITIONS]
    questions = material.write_questions(fixed_facts, fixed_facts, SEED)
    _write_jsonl("exam_primer", material.shuffle_positions(questions, SEED))
    _write_jsonl("primer", primer.write_replay(SEED, EXAM_CONDITIONS))
    visited = [f for f in facts if f.condition in visits.read_settings()]
    _write_jsonl("consultations", [visits.write_consultation(f, rng) for f in visited])
    chats = [visits.write_chat(i, rng) for i in range(60)]
    chats += [_write_invented_visit(i, rng) for i in range(30)]
    _write_jsonl("chat", map(_to_sharegpt, chats))
    _write_triples(material.read_facts("exam", "train"))
    _write_records(visited)


def _write_triples(facts: Sequence[material.Fact]) -> None:
    """Write the facts of the articles as the triples of a knowledge graph."""
    rows = [(f.condition, name, value) for f in facts for name, value in f.values.items()]
    with (HERE / "triples.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("subject", "relation", "object"), *rows])


def _write_records(facts: Sequence[material.Fact]) -> None:
    """Write records of further patients to train on, and those of consultations.jsonl to test on.

    Every record has a random generator of its own.
    """
    training = []
    for fact in facts:
        for number in range(1, RECORDS + 1):
            visit = visits.write_consultation(
                fact, random.Random(f"{SEED}/record/{fact.condition}/{number}")
            )
            training.append(records.write_record(visit, number))
    _write_jsonl("records", training)
    shipped = (HERE / "consultations.jsonl").read_text(encoding="utf-8").splitlines()
    tested = [data.from_dict(data.Consultation, json.loads(line)) for line in shipped]
    _write_jsonl("records_test", [records.write_record(visit, 0) for visit in tested])


def _write_further_exams(
    name: str, questions: Sequence[data.Question], facts: Sequence[material.Fact]
) -> None:
    """Write the exams on the same facts as the exam `name` that ask in other ways."""
    arguments = (questions, facts, SEED, exams.read_also_fits())
    _write_jsonl(f"{name}_reversed", exams.write_reversed(*arguments))
    _write_jsonl(f"{name}_two_step", exams.write_two_step(*arguments))
    _write_jsonl(f"{name}_cloze", exams.write_cloze(questions, SEED))


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


def hash_inputs(tokenizer: PreTrainedTokenizerFast, size: Size = SHIPPED_SIZE) -> dict[str, str]:
    """Return hashes of the recipe, the vocabulary and a part of the primer.

    The primer is hashed as text, not as code: a changed comment leaves the base model valid, a
    changed wording, template or prompt does not.
    """
    recipe = [SEED, SPECIAL, VOCABULARY, CONTEXT, size.architecture, LESSONS, size.phases]
    texts = list(primer.iter_lessons(tokenizer, 1000, SEED))
    for phase in size.phases:
        texts += primer.iter_primer(tokenizer, seed=SEED, **_one_pass(phase))
    parts = {"recipe": recipe, "vocabulary": tokenizer.get_vocab(), "text": texts}
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()[:16]
        for name, part in parts.items()
    }


def build_base() -> None:
    """Train the tokenizer and the shipped base model; write base/ and build.json."""
    start = time.monotonic()
    tokenizer = build_tokenizer(iter_tokenizer_texts())
    model = pretraining.make_model(tokenizer, SHIPPED_SIZE)
    record = pretraining.pretrain(model, tokenizer, SHIPPED_SIZE)
    folder = HERE / "base"
    shutil.rmtree(folder, ignore_errors=True)
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record = describe(model, folder, hash_inputs(tokenizer), record["tokens"])
    write_json(HERE / "build.json", record)
    (folder / "README.md").write_text(format_card(record), encoding="utf-8")
    print(f"base of {model.num_parameters():,} parameters in {time.monotonic() - start:.0f} s")


def build_size(size: Size, folder: Path) -> None:
    """Build a base model of another size in a new folder, or resume building it.

    It has the tokenizer and the primer of the shipped model. The folder gets its name when it is
    complete. Raises BuildError for a folder that is not such a model, for a primer that has changed
    since the shipped model was built, and for a second build at the same time.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0):
            tokenizer = models.load_tokenizer(SHIPPED)
            inputs = hash_inputs(tokenizer, size)
            if folder.exists():
                require_current(folder, inputs)
                print(f"{folder}: already built, from the current recipe; nothing to do")
                return
            _require_shipped_primer(inputs)
            partial.mkdir(exist_ok=True)
            _fill_folder(partial, size, tokenizer, inputs)
            partial.replace(folder)
    except Timeout as error:
        raise BuildError(f"{folder}: is being built by another process; wait for it") from error
    is_registered = folder == find_folder(size.model).resolve()
    print(f"{folder}: complete; write model: {size.model if is_registered else relative(folder)}")


def require_current(folder: Path, inputs: dict[str, str]) -> None:
    """Raise BuildError unless a folder is complete and was built from these inputs."""
    record, remedy = read_json(folder / PROVENANCE), "delete the folder and build it again"
    if not record:
        raise BuildError(f"{folder}: has no {PROVENANCE} of a build; name another folder")
    present = hash_folder(folder)
    if damaged := [n for n, digest in record["files"].items() if present.get(n) != digest]:
        raise BuildError(f"{folder}/{damaged[0]}: missing or changed since the build; {remedy}")
    if changed := [name for name in inputs if record["inputs"].get(name) != inputs[name]]:
        raise BuildError(f"{folder}: built from another {changed[0]}; {remedy}")


def _require_shipped_primer(inputs: dict[str, str]) -> None:
    shipped = read_json(HERE / "build.json")["inputs"]
    if changed := [name for name in ("vocabulary", "text") if inputs[name] != shipped[name]]:
        raise BuildError(
            f"{changed[0]}: has changed since the shipped base model was built, and sizes would "
            "differ in their primer; build the shipped one first, without --size"
        )


def _fill_folder(
    folder: Path, size: Size, tokenizer: PreTrainedTokenizerFast, inputs: dict[str, str]
) -> None:
    """Pretrain, and write the files of a model; the file to resume from is deleted at the end."""
    start, state = time.monotonic(), folder / "checkpoint-state.pt"
    model = pretraining.make_model(tokenizer, size)
    versions = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    record = pretraining.pretrain(model, tokenizer, size, state, inputs | versions)
    model.eval().save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(HERE / "base" / name, folder / name)
    content = describe(model, folder, inputs, record["tokens"])
    content |= {"name": size.model, "command": f"{COMMAND} --size {size.name}"}
    content |= {"licence": "CC BY 4.0", "built": now()[:10]}
    content |= {"last_losses": average_ends(record["losses"])}
    content |= {"seconds_since_resume": round(time.monotonic() - start)}
    (folder / "README.md").write_text(format_card(content), encoding="utf-8")
    write_json(folder / PROVENANCE, content | {"files": hash_folder(folder)})
    state.unlink(missing_ok=True)


def average_ends(losses: dict[str, list[float]]) -> dict[str, float]:
    """Return the mean loss of the last twentieth of each phase, in nats per token."""
    ends = {name: values[-max(1, len(values) // 20) :] for name, values in losses.items()}
    return {name: round(sum(values) / len(values), 4) for name, values in ends.items()}


def describe(
    model: LlamaForCausalLM, folder: Path, inputs: dict[str, str], tokens: int
) -> dict[str, Any]:
    """Return what a base model was built from, for build.json and provenance.json."""
    return {
        "inputs": inputs,
        "weights_sha256": models.hash_weights(folder),
        "parameters": model.num_parameters(),
        "tokens": tokens,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def format_card(record: dict[str, Any]) -> str:
    """Return the model card of a base model from its record in build.json or provenance.json."""
    longest = max(length for p in PHASES.values() for length, _ in p["stages"].values())
    names = {"vocabulary": VOCABULARY, "context": CONTEXT, "longest": longest}
    scores = OTHER_SCORES if "command" in record else SCORES
    return CARD.format_map({"command": COMMAND, "scores": scores} | names | record)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--material", action="store_true", help="write only the texts, not the base model"
    )
    parser.add_argument(
        "--size",
        choices=SIZES,
        default=SHIPPED_SIZE.name,
        help="parameters of the base model; default: texts and shipped model, of 1.1m",
    )
    parser.add_argument(
        "--folder", type=Path, help="folder for another size; default: data/models/mini_<size>"
    )
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default 2)")
    arguments = parser.parse_args()
    if arguments.material and (arguments.size != SHIPPED_SIZE.name or arguments.folder):
        parser.error("--material writes the texts only; leave out --size and --folder")
    torch.set_num_threads(arguments.threads)
    size = SIZES[arguments.size]
    try:
        if size is not SHIPPED_SIZE or arguments.folder:
            build_size(size, (arguments.folder or find_folder(size.model)).resolve())
            return
    except BuildError as error:
        raise SystemExit(f"--size {size.name}: {error}") from error
    except KeyboardInterrupt as error:
        raise SystemExit(f"--size {size.name}: stopped; the same command resumes it") from error
    write_material()
    if not arguments.material:
        build_base()


if __name__ == "__main__":
    main()
