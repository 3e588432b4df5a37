"""Named sampling settings, as values of `NoteTask`."""

DECODINGS: dict[str, dict[str, float]] = {
    "greedy": {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0},
    # ClinMED-LLAMA3 reports these for its demonstration; it calls the temperature "creativity"
    "clinmed_llama3": {"temperature": 0.6, "top_p": 0.9, "top_k": 50, "repetition_penalty": 1.2},
}
