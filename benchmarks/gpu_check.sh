#!/usr/bin/env bash
# What a lent GPU is to show, in at most 12 minutes on one H100 or H200. What matters most comes first;
# each part has a time limit, writes its own files, and a part that fails does not stop the next.
#
#     bash benchmarks/gpu_check.sh                       # tables to benchmarks/results/gpu
#     OUT=/some/folder bash benchmarks/gpu_check.sh      # to another folder
#     COMMIT=1 bash benchmarks/gpu_check.sh              # commit the tables of each part
#     DRY_RUN=1 bash benchmarks/gpu_check.sh             # on a CPU: tiny shapes, every part
#     PARTS="mini rehearse_70b" bash benchmarks/gpu_check.sh
#
# PYTHON names the interpreter (default: .venv/bin/python). Nothing is downloaded: base models have
# random weights of the real shape. Results of the project do not change: studies run in a copy.
set -u
cd "$(dirname "$0")/.." || exit 2
PYTHON=${PYTHON:-.venv/bin/python}
DRY_RUN=${DRY_RUN:-0}
PARTS=${PARTS:-"mini rehearse_70b rehearse_13b rehearse_8b sft_speed eval_speed sft_peers"}
WORK=$(mktemp -d)
if [ "$DRY_RUN" = 1 ]; then RESULTS=${OUT:-$(mktemp -d)}; else RESULTS=${OUT:-benchmarks/results/gpu}; fi
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$RESULTS" || exit 2
RESULTS=$(cd "$RESULTS" && pwd)
export BENCHMARK_RESULTS=$RESULTS # where benchmarks append their rows

export PYTHONPATH="$PWD/src:$PWD" HF_HUB_OFFLINE=1
if ! "$PYTHON" -c 'import clinical_camel, torch' 2> /dev/null; then
    echo "$PYTHON cannot import clinical_camel and torch; set PYTHON to an interpreter that can" >&2
    exit 2
fi
if [ "$DRY_RUN" = 0 ] && ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "no GPU; DRY_RUN=1 tries every part on a CPU" >&2
    exit 2
fi

# A project of its own: `run` and `rehearse` write there.
mkdir -p "$WORK/project/outputs"
for entry in notebooks params data src; do ln -s "$PWD/$entry" "$WORK/project/$entry"; done
camel() { CLINICAL_CAMEL_ROOT="$WORK/project" "$PYTHON" -m clinical_camel "$@"; }
speed_table() { "$PYTHON" -m benchmarks."$1" "${@:2}"; }

rehearse() { # study, minutes
    local study=$1 minutes=$2
    [ "$DRY_RUN" = 1 ] && study=mini_camel minutes=1
    camel rehearse "$study" --minutes "$minutes" --rate 2.50
    local code=$?
    cp "$WORK/project/outputs/$study/rehearsal.json" "$RESULTS/rehearsal_$1.json" &&
        CLINICAL_CAMEL_ROOT="$WORK/project" "$PYTHON" -m benchmarks.rehearsal \
            --forecasts "$study"
    [ $code -le 1 ] # no-go is a result, too
}

part_mini() { # its notebooks, after their rehearsal: is the forecast right?
    camel rehearse mini_camel --minutes 1 || return 1
    [ "$DRY_RUN" = 1 ] && { camel run mini_camel 01; return; }
    camel run mini_camel || return 1
    CLINICAL_CAMEL_ROOT="$WORK/project" "$PYTHON" -m benchmarks.rehearsal mini_camel
    cp "$WORK/project/outputs/mini_camel/03_eval_fewshot/scores.csv" "$RESULTS/mini_camel_scores.csv"
    for step in 01_dbke 02_sft_qlora 03_eval_fewshot 04_note_synthesis 05_loss_curves 09_score_checks; do
        cp "$WORK/project/outputs/mini_camel/$step/run.json" "$RESULTS/mini_camel_$step.json"
    done
}
part_rehearse_70b() { rehearse clinical_camel_70b 3; }
part_rehearse_13b() { rehearse clinical_camel_13b 2; }
part_rehearse_8b() { rehearse h100_8b 1.5; }
part_sft_speed() {
    if [ "$DRY_RUN" = 1 ]; then
        speed_table sft_speed --vocabularies 1024 --rows 8 --rounds 1 --subjects "ours, packed"
    else
        speed_table sft_speed --size 13b --rank 64 --max-length 4096 --rows 8 --rounds 1 \
            --subjects "TRL, packed" "ours, packed"
    fi
}
part_eval_speed() {
    if [ "$DRY_RUN" = 1 ]; then
        speed_table eval_speed --questions 8 --vocabularies 1024 --scorers ours
    else
        speed_table eval_speed --size 7b --questions 100 --scorers ours "harness, best mode"
    fi
}
part_sft_peers() { # only where Unsloth is installed
    if [ "$DRY_RUN" = 1 ] || ! "$PYTHON" -c 'import unsloth' 2> /dev/null; then
        echo "unsloth is not installed: not measured"
        return 0
    fi
    speed_table sft_speed --size 7b --max-length 4096 --rows 8 --rounds 1 \
        --subjects Unsloth "ours, packed" "ours, packed and compiled"
}

declare -A LIMITS=(
    [mini]=180 [rehearse_70b]=220 [rehearse_13b]=150 [rehearse_8b]=110
    [sft_speed]=90 [eval_speed]=60 [sft_peers]=60
)
if [ "$DRY_RUN" = 1 ]; then LIMIT_FACTOR=20; else LIMIT_FACTOR=1; fi
export -f camel speed_table rehearse
export PYTHON DRY_RUN WORK RESULTS
failed=()
for part in $PARTS; do
    if ! declare -F "part_$part" > /dev/null; then
        echo "no part $part; there are: ${!LIMITS[*]}" >&2
        exit 2
    fi
    export -f "part_$part"
    begin=$SECONDS
    echo "== $part (at most $((LIMITS[$part] * LIMIT_FACTOR)) s)"
    timeout $((LIMITS[$part] * LIMIT_FACTOR)) bash -c "part_$part" > "$RESULTS/$part.log" 2>&1
    code=$?
    tail -n 12 "$RESULTS/$part.log"
    [ $code = 0 ] || failed+=("$part ($code)")
    echo "$part,$code,$((SECONDS - begin))" >> "$RESULTS/parts.csv"
    if [ "$DRY_RUN" = 0 ] && [ "${COMMIT:-0}" = 1 ]; then
        git add -- "$RESULTS" && git commit --quiet --only -m "GPU check: $part" -- "$RESULTS"
    fi
done
echo "tables and logs: $RESULTS"
[ ${#failed[@]} = 0 ] || { echo "not complete: ${failed[*]}" >&2; exit 1; }
