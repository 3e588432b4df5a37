#!/usr/bin/env bash
# What one H100 or H200 is to show, in at most 12 minutes. What matters most comes first. Each part has
# a time limit and writes its own table and log; a part that fails does not stop the next.
#
#     bash benchmarks/gpu_check.sh                             # tables to benchmarks/results/gpu
#     PARTS="mini rehearse_70b" bash benchmarks/gpu_check.sh   # in two commands: 370 seconds
#     PARTS="sft_speed rehearse_13b eval_speed" bash benchmarks/gpu_check.sh       # and 345
#     PARTS="rehearse_mini mini" bash benchmarks/gpu_check.sh  # is the forecast right?
#     PARTS=rehearse_8b bash benchmarks/gpu_check.sh           # not among the defaults either
#     OUT=/some/folder bash benchmarks/gpu_check.sh            # to another folder
#     COMMIT=1 bash benchmarks/gpu_check.sh                    # commit the tables of each part
#     PRINT=1 bash benchmarks/gpu_check.sh                     # only print the commands
#     DRY_RUN=1 bash benchmarks/gpu_check.sh                   # on a CPU: tiny shapes
#
# PYTHON names the interpreter (default: .venv/bin/python). It needs torch for CUDA: without that, or
# without a GPU, the script says so and ends at once with code 2. Nothing is downloaded: base models
# have random weights of the real shape. Results of the project do not change: studies run in a copy.
#
# On a bare machine without network, the script names the packages that are missing. Bring their wheels,
# and WHEELS=/their/folder installs them into a temporary folder. It needs no outputs:
#
#     git archive --output gpu_check.tar.gz HEAD benchmarks data notebooks params src pyproject.toml
#
# is 7 MB; eval_speed also needs data/public/medqa_us.
set -u
cd "$(dirname "$0")/.." || exit 2
PYTHON=${PYTHON:-.venv/bin/python}
DRY_RUN=${DRY_RUN:-0}
PRINT=${PRINT:-0}
DEFAULTS="mini rehearse_70b sft_speed rehearse_13b eval_speed"
PARTS=${PARTS:-$DEFAULTS}
# in seconds; those of the defaults, with KILL_AFTER for each, are at most 720
declare -A LIMITS=(
    [mini]=190 [rehearse_70b]=170 [sft_speed]=190 [rehearse_13b]=90 [eval_speed]=50
    [rehearse_mini]=100 [rehearse_8b]=90
)
KILL_AFTER=5
if [ "$DRY_RUN" = 1 ]; then LIMIT_FACTOR=20; else LIMIT_FACTOR=1; fi

for part in $PARTS; do
    if [ -z "${LIMITS[$part]:-}" ]; then
        echo "no part $part; there are: ${!LIMITS[*]}" >&2
        exit 2
    fi
done

camel() {
    if [ "$PRINT" = 1 ]; then echo "python -m clinical_camel ${*@Q}"; return; fi
    CLINICAL_CAMEL_ROOT="$WORK/project" "$PYTHON" -m clinical_camel "$@"
}
speed_table() {
    if [ "$PRINT" = 1 ]; then local words=("${@:2}"); echo "python -m benchmarks.$1 ${words[*]@Q}"; return; fi
    CLINICAL_CAMEL_ROOT="${ROOT:-$PWD}" "$PYTHON" -m benchmarks."$1" "${@:2}"
}
rehearse() { # study, minutes, steps; all steps without any
    local study=$1 minutes=$2 code=0
    [ "$DRY_RUN" = 1 ] && study=mini_camel minutes=1
    camel rehearse "$study" "${@:3}" --minutes "$minutes" --rate 2.50 || code=$?
    [ "$PRINT" = 1 ] && return
    cp "$WORK/project/outputs/$study/rehearsal.json" "$RESULTS/rehearsal_$1.json" &&
        ROOT="$WORK/project" speed_table rehearsal --forecasts "$study"
    [ $code -le 1 ] # no-go is a result, too
}

part_mini() { # every notebook on the GPU; after a timeout the complete steps are in $RESULTS
    local file step outputs="${WORK:-}/project/outputs/mini_camel"
    for file in params/mini_camel/*.yaml; do
        step=$(basename "$file" .yaml)
        camel run mini_camel "$step" || return 1
        [ "$PRINT" = 1 ] && continue
        cp "$outputs/$step/run.json" "$RESULTS/mini_camel_$step.json"
        [ "$step" != 03_eval_fewshot ] ||
            cp "$outputs/$step/scores.csv" "$RESULTS/mini_camel_scores.csv"
        [ "$DRY_RUN" = 1 ] && return
    done
    [ ! -e "$outputs/rehearsal.json" ] ||
        ROOT="$WORK/project" speed_table rehearsal mini_camel
}
part_rehearse_mini() { rehearse mini_camel 1; }
# Only the training: steps 03 and 04 would each load the base model anew.
part_rehearse_70b() { rehearse clinical_camel_70b 2 02; }
part_rehearse_13b() { rehearse clinical_camel_13b 1 02; }
part_rehearse_8b() { rehearse h100_8b 1; }
part_sft_speed() { # subjects whose package is missing say so; each row is written as it ends
    if [ "$DRY_RUN" = 1 ]; then
        speed_table sft_speed --vocabularies 1024 --rows 40 --rounds 1 --subjects "ours, packed"
    else
        speed_table sft_speed --size 13b --rank 64 --max-length 4096 --rows 40 --rounds 1 \
            --subjects "ours, packed" "TRL, defaults" "TRL, packed" "TRL, Liger" Unsloth
    fi
}
part_eval_speed() {
    local scorers=(ours)
    if [ "$PRINT" = 1 ] || "$PYTHON" -c 'import lm_eval' 2> /dev/null; then
        scorers+=("harness, best mode")
    else
        echo "lm_eval is not installed: no harness to compare with"
    fi
    if [ "$DRY_RUN" = 1 ]; then
        speed_table eval_speed --questions 8 --vocabularies 1024 --scorers ours
    else
        speed_table eval_speed --size 7b --questions 100 --scorers "${scorers[@]}"
    fi
}

if [ "$PRINT" = 1 ]; then
    for part in $PARTS; do
        echo "== $part (at most $((LIMITS[$part] * LIMIT_FACTOR)) s)"
        "part_$part"
    done
    exit
fi

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export PYTHONPATH="$PWD/src:$PWD${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True # rows of all lengths fragment the memory
if [ -n "${WHEELS:-}" ]; then
    "$PYTHON" -m pip install --quiet --no-index --no-deps --no-compile --target "$WORK/site" \
        "$WHEELS"/*.whl || exit 2
    PYTHONPATH="$PYTHONPATH:$WORK/site"
fi
"$PYTHON" -m benchmarks.gpu_machine $([ "$DRY_RUN" = 1 ] && echo --cpu) || exit 2

if [ "$DRY_RUN" = 1 ]; then RESULTS=${OUT:-$(mktemp -d)}; else RESULTS=${OUT:-benchmarks/results/gpu}; fi
mkdir -p "$RESULTS" || exit 2
RESULTS=$(cd "$RESULTS" && pwd)
export BENCHMARK_RESULTS=$RESULTS # where benchmarks append their rows
# A project of its own: `run` and `rehearse` write there.
mkdir -p "$WORK/project/outputs"
for entry in notebooks params data src; do ln -s "$PWD/$entry" "$WORK/project/$entry"; done

export -f camel speed_table rehearse
export PYTHON DRY_RUN PRINT WORK RESULTS
failed=()
for part in $PARTS; do
    export -f "part_$part"
    limit=$((LIMITS[$part] * LIMIT_FACTOR))
    begin=$SECONDS
    echo "== $part (at most $limit s)"
    timeout --kill-after=$KILL_AFTER $limit bash -c "part_$part" > "$RESULTS/$part.log" 2>&1
    code=$?
    for file in "$WORK"/project/outputs/*/rehearsal.json; do # what a stopped rehearsal measured
        [ $code != 0 ] && [ -f "$file" ] &&
            cp "$file" "$RESULTS/rehearsal_$(basename "$(dirname "$file")").json"
    done
    tail -n 12 "$RESULTS/$part.log"
    [ $code = 0 ] || failed+=("$part ($code)")
    echo "$part,$code,$((SECONDS - begin))" >> "$RESULTS/parts.csv"
    if [ "$DRY_RUN" = 0 ] && [ "${COMMIT:-0}" = 1 ]; then
        git add -- "$RESULTS" && git commit --quiet --only -m "GPU check: $part" -- "$RESULTS"
    fi
done
echo "tables and logs: $RESULTS"
[ ${#failed[@]} = 0 ] || { echo "not complete: ${failed[*]}" >&2; exit 1; }
