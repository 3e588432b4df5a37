"""Small tokenizers, each made here with the algorithm and the special tokens of its family.

Trained on one conversation and nothing else, so that what goes wrong with spaces, bytes and special
tokens goes wrong here too, without a download. tests/test_templates.py and recipes.py use them.
"""

import functools
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

TURNS = [
    {"role": "system", "content": "Answer like a doctor."},
    {"role": "user", "content": "My toe is hot and swollen. Why?"},
    {"role": "assistant", "content": "It may be gout: has it come at night?"},
    {"role": "user", "content": "Yes!\n\nWhat now? 谢谢"},
    {"role": "assistant", "content": "Naproxen, if your kidneys are well.\n1. Rest.\n2. Ice."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": "A"},
]
TEXTS = [m["content"] for m in TURNS] * 3
# GPT-4's pattern, which Llama 3 and Qwen split words by
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
SPLIT += r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def pieces() -> Tokenizer:
    """Llama 1 and 2: SentencePiece BPE, a blank before each word, bytes for the unknown."""
    made = Tokenizer(BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace()  # no piece goes across a blank
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=500, special_tokens=special))
    made.pre_tokenizer = None
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.add_special_tokens([AddedToken(t, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
    )
    return made


def of_bytes(special: list[str], bos: str = "", split: str = "") -> Tokenizer:
    """Llama 3, Qwen, BLOOM: BPE of bytes; the first also puts a BOS in front."""
    made = Tokenizer(BPE())
    cut = [pre_tokenizers.Split(pattern=Regex(split), behavior="isolated")] if split else []
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [*cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    made.train_from_iterator(TEXTS, trainer)
    steps = [processors.ByteLevel(trim_offsets=True)]
    if bos:
        steps.append(
            processors.TemplateProcessing(
                single=f"{bos} $A", special_tokens=[(bos, made.token_to_id(bos))]
            )
        )
    made.post_processor = processors.Sequence(steps)
    return made


LLAMA3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"]
LLAMA3 += ["<|eot_id|>"]
FAMILIES = {  # tokenizer, its special tokens by name, templates that go with it
    "llama": (
        pieces,
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        ("llama2", "vicuna_v1.1", "alpaca", "medalpaca"),
    ),
    "llama 3": (
        functools.partial(of_bytes, LLAMA3, LLAMA3[0], SPLIT),
        {"bos_token": LLAMA3[0], "eos_token": LLAMA3[1]},
        ("llama3", "alpaca"),
    ),
    "qwen": (
        functools.partial(of_bytes, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "", SPLIT),
        {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"},
        ("chatml",),
    ),
    "bloom": (
        functools.partial(of_bytes, ["<unk>", "<s>", "</s>", "<pad>"]),
        {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        ("plain",),
    ),
}


def write_tokenizer(family: str, folder: Path) -> None:
    """Makes the tokenizer of a family and saves it, as a folder of the hub would hold it."""
    make, special, _ = FAMILIES[family]
    PreTrainedTokenizerFast(tokenizer_object=make(), **special).save_pretrained(folder)
