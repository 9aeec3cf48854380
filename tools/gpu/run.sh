#!/usr/bin/env bash
# What a machine with a card has to say of this program, in minutes: is the device sound, how fast is it, does a run resume,
# does memory keep to its plan. Nothing is needed but the driver and this folder, which `cargo xtask gpu-kit` makes.
#
#     ./run.sh                      on the best device that there is
#     ./run.sh --device cuda:0      on this one
#     ./run.sh --small              small sizes: software drivers, and machines without 20 GB for the model of 3 B
#     ./run.sh --out FOLDER         where the report goes, ./report unless given: report.json and report.md
#
# A step that fails is written down as failed, and the next one runs; the exit code says whether all went well.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=auto
small=
out=report
while [ $# -gt 0 ]; do
    case "$1" in
        --device) device=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --small) small=yes; shift ;;
        *) sed -n '2,9p' "$0" >&2; exit 2 ;;
    esac
done
vigos=$here/vigos
[ -x "$vigos" ] || { echo "$vigos is missing: unpack the whole kit" >&2; exit 2; }
# What the kit ships of what a backend loads at run time.
if [ -d "$here/cuda" ]; then
    export CUDA_PATH=$here/cuda LD_LIBRARY_PATH=$here/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
# What fails is told in a line.
export HF_HUB_OFFLINE=1 RUST_BACKTRACE=0
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
# Vulkan's loader wants one, and says so on every start where there is none.
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}
: >"$out/steps.jsonl"
failed=0
began=$SECONDS

now() { date +%s.%N; }

# Bytes that are used on the card, by the driver's own tool; nothing where there is none.
card_bytes() {
    command -v nvidia-smi >/dev/null || return 0
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2>/dev/null |
        awk '{ if ($1 > most) most = $1 } END { if (NR) printf "%d", most * 1048576 }'
}

# Looks at a process until it ends: the most memory of it and of the card.
watch_memory() { # PID FILE
    local host=0 card=0 seen
    while kill -0 "$1" 2>/dev/null; do
        seen=$(awk '/^VmHWM:/ { printf "%d", $2 * 1024 }' "/proc/$1/status" 2>/dev/null)
        [ "${seen:-0}" -gt "$host" ] && host=$seen
        seen=$(card_bytes)
        [ "${seen:-0}" -gt "$card" ] && card=$seen
        # It may be stopped at any moment.
        echo "$host $card" >"$2.new" && mv "$2.new" "$2"
        sleep 0.1
    done
}

# Runs a step, writes it down. What it writes to stdout is its result, if that is JSON.
step() { # NAME SECONDS ARGUMENT...
    local name=$1 limit=$2 begin code seconds host card result
    shift 2
    printf '%-22s' "$name"
    begin=$(now)
    timeout --kill-after=10 "$limit" "$vigos" "$@" >"$out/$name.out" 2>"$out/$name.log" &
    local runs=$!
    # Below `timeout` is the command itself.
    local child=
    for _ in 1 2 3 4 5; do
        child=$(cat "/proc/$runs/task/$runs/children" 2>/dev/null | awk '{ print $1 }')
        [ -n "$child" ] && break
        sleep 0.05
    done
    echo "0 0" >"$out/$name.memory"
    watch_memory "${child:-$runs}" "$out/$name.memory" &
    local watcher=$!
    wait "$runs"
    code=$?
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    seconds=$(awk -v a="$begin" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }')
    read -r host card <"$out/$name.memory" || { host=0; card=0; }
    result=null
    case "$(head -c 1 "$out/$name.out")" in '{' | '[') result=$(cat "$out/$name.out") ;; esac
    printf '{"name":"%s","command":"vigos %s","seconds":%s,"exit":%d,"peak_host_bytes":%s,"peak_card_bytes":%s,"result":%s}\n' \
        "$name" "$(echo "$*" | sed "s#$work/##g; s#$here/##g")" "$seconds" "$code" "$host" "$card" \
        "$(printf '%s' "$result" | tr -d '\n')" >>"$out/steps.jsonl"
    if [ "$code" -eq 0 ]; then
        printf 'ok      %8s s\n' "$seconds"
    else
        failed=$((failed + 1))
        printf 'FAILED  %8s s  exit %d: %s\n' "$seconds" "$code" "$(grep -v '^ *$' "$out/$name.log" | head -n 1)"
    fi
    return "$code"
}

# Something that is found out without the command: a verdict and its words.
finding() { # NAME CODE TEXT
    printf '%-22s%s\n' "$1" "$3"
    [ "$2" -eq 0 ] || failed=$((failed + 1))
    printf '{"name":"%s","command":"","seconds":0,"exit":%d,"peak_host_bytes":0,"peak_card_bytes":0,"result":"%s"}\n' \
        "$1" "$2" "$3" >>"$out/steps.jsonl"
}

on=(--device "$device")
fast=()
if [ -n "$small" ]; then
    loss=(--rows 32 --vocab 8000 --hidden 128 --repeats 1)
    kernels=(--rows 64 --hidden 256 --inner 512 --vocab 4000 --repeats 1)
    step_sizes=(--repeat 1 --batch 1 --prompt 300 --image 8x8 --completion 32)
    decode_sizes=(--repeat 1 --batch 2 --prompt 100 --image 8x8 --new 8)
    models=(100m)
else
    loss=(--rows 1024 --vocab 151936 --hidden 2048)
    kernels=()
    step_sizes=(--repeat 3 --batch 2 --prompt 486 --image 24x32 --completion 122)
    decode_sizes=(--repeat 3 --batch 8 --prompt 486 --image 24x32 --new 64)
    models=(100m 3b)
fi

step doctor 300 doctor --json "${on[@]}"
step selftest 300 selftest --json "${on[@]}"
# Whether products have less precision is said above; the rest is measured either way.
grep -q '"reduced": *true' "$out/selftest.out" && fast=(--set train.fast_math=true)
step loss 300 bench loss --json "${loss[@]}" "${on[@]}"
step kernels 300 bench kernels --json "${kernels[@]}" "${on[@]}"
for model in "${models[@]}"; do
    case $model in
        100m) config=$here/models/100m/config.json precision=f32 ;;
        3b) config=$here/models/Qwen2.5-VL-3B-Instruct/config.json precision=bf16 ;;
    esac
    step "init-$model" 300 init "$config" --out "$work/$model" --seed 1 || continue
    measured=(--model "$work/$model" --precision "$precision" --json "${on[@]}")
    step "step-$model" 600 bench step "${measured[@]}" "${step_sizes[@]}"
    step "decode-$model" 300 bench decode "${measured[@]}" "${decode_sizes[@]}"
    rm -rf "${work:?}/$model"
done

# A short run, whole; and cut after its third step and gone on with.
step example 60 example --out "$work/first"
if cd "$work/first"; then
    short=(configs/shapes.toml "${on[@]}" "${fast[@]}" --set train.steps=6 --set train.batch=4 --set rollout.batch=4
        --set checkpoint.every=3 --set eval.around=false --set log.tensorboard=false)
    step train 600 train "${short[@]}" --run-dir whole
    cp -r whole cut
    step resume 600 train "${short[@]}" --run-dir cut --resume --at 3
    losses() { grep -o '"loss":[^,}]*' "$1/metrics.jsonl" | cut -d: -f2; }
    worst=$(paste <(losses whole) <(losses cut) |
        awk '{ d = $1 - $2; d = d < 0 ? -d : d; d /= ($1 < 0 ? -$1 : $1) + 1e-30; if (d > most) most = d; n++ }
             END { if (n) printf "%.1e", most; else printf "none" }')
    if cmp -s whole/checkpoints/step-000006/adapter_model.safetensors \
        cut/checkpoints/step-000006/adapter_model.safetensors; then
        finding resumed 0 "the resumed run ends with the same adapter, bit for bit"
    elif awk -v worst="$worst" 'BEGIN { exit !(worst != "none" && worst < 0.01) }'; then
        finding resumed 0 "the resumed run ends near the whole one: losses differ by $worst at most"
    else
        finding resumed 1 "the resumed run ends elsewhere: losses differ by $worst"
    fi
    # The estimate stands at the head of what a run says.
    grep -h -A 12 '^memory:' "$out/train.log" | sed '/^step/,$d; / steps to train$/d' >"$out/plan.txt"
    cd "$work" || exit 2
fi

# The reports.
total=$((SECONDS - began))
is_small=false
[ -z "$small" ] || is_small=true
machine=$(uname -srm)
processor=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo 2>/dev/null)
driver=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 8 | tr '\n' ';')
{
    printf '{"device":"%s","version":"%s","machine":"%s","processor":"%s","driver":"%s","small":%s,"seconds":%d,"failed":%d,"steps":[\n' \
        "$device" "$("$vigos" --version)" "$machine" "$processor" "$driver" "$is_small" "$total" "$failed"
    sed '$!s/$/,/' "$out/steps.jsonl"
    printf ']}\n'
} >"$out/report.json"

megabytes() { awk -v b="$1" 'BEGIN { if (b > 0) printf "%.0f", b / 1e6; else printf "–" }'; }
field() { sed -n "s/.*\"$1\":\"*\([^,\"]*\)\"*,.*/\1/p" <<<"$2" | head -n 1; }
{
    echo "# vigos on ${driver:-$device}"
    echo
    echo "$("$vigos" --version), device \`$device\`, $machine, $processor. $(date -u +%Y-%m-%d), $total s in all, $failed failed."
    echo
    echo "| step | result | seconds | peak of the process, MB | used on the card, MB |"
    echo "| --- | --- | --- | --- | --- |"
    while IFS= read -r line; do
        head=${line%%\"result\"*}
        code=$(field exit "$head")
        verdict=ok
        [ "$code" = 0 ] || verdict="FAILED ($code)"
        echo "| $(field name "$head") | $verdict | $(field seconds "$head") | $(megabytes "$(field peak_host_bytes "$head")") | $(megabytes "$(field peak_card_bytes "$head")") |"
    done <"$out/steps.jsonl"
    grep -h '"name":"resumed"' "$out/steps.jsonl" | sed 's/.*"result":"\(.*\)"}/\n\1./'
    if [ -s "$out/plan.txt" ]; then
        printf '\n## The plan of the short run\n\n```text\n'
        cat "$out/plan.txt"
        echo '```'
    fi
    for name in doctor selftest kernels loss; do
        [ -s "$out/$name.log" ] || [ -s "$out/$name.out" ] || continue
        printf '\n## %s\n\n```text\n' "$name"
        grep -v '^ *$' "$out/$name.log" | head -n 60
        case $name in
            doctor) "$vigos" doctor "${on[@]}" 2>/dev/null ;;
            selftest) "$vigos" selftest --fast-math "${on[@]}" 2>/dev/null ;;
            loss) head -n 80 "$out/$name.out" ;;
        esac
        echo '```'
    done
    for model in "${models[@]}"; do
        for what in step decode; do
            [ -s "$out/$what-$model.out" ] || continue
            printf '\n## %s of the model of %s\n\n```json\n' "$what" "$model"
            head -n 80 "$out/$what-$model.out"
            echo '```'
        done
    done
} >"$out/report.md"
rm -f "$out"/steps.jsonl "$out"/plan.txt "$out"/*.memory "$out"/*.memory.new
echo "report: $out/report.md and report.json ($total s, $failed failed)"
[ "$failed" -eq 0 ]
