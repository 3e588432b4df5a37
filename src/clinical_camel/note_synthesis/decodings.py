"""How the next token of a note is chosen."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How the next token is chosen; temperature 0 is greedy, top_k 0 and top_p 1 keep all."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0


DECODINGS: dict[str, Decoding] = {
    "greedy": Decoding(),
    # "creativity", top-p, top-k and penalty of its demonstration, as ClinMED-LLAMA3 reports them
    "clinmed_llama3": Decoding(temperature=0.6, top_p=0.9, top_k=50, repetition_penalty=1.2),
}
