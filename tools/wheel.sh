#!/bin/sh
# Builds the wheel, installs it into an environment of its own, and runs the first job with what is in it: outside of any
# checkout, with no other program on the path and, where the system lets it, without a network.
#
#     tools/wheel.sh [FOLDER]
#
# The wheel is left in FOLDER/wheels; without a folder in a new one below /tmp. Needs Python 3.9 or later with venv, Rust, and
# PyPI for maturin.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)

python3 -m venv "$out/builder"
"$out/builder/bin/pip" install --quiet 'maturin>=1.9,<2'
(cd "$root" && CARGO_INCREMENTAL=0 "$out/builder/bin/maturin" build --release --out "$out/wheels")

python3 -m venv --clear "$out/fresh"
"$out/fresh/bin/pip" install --quiet --no-index --no-deps --force-reinstall "$out"/wheels/vigos-*.whl

# From here on there is the installed command and nothing else.
rm -rf "$out/away"
mkdir "$out/away"
cd "$out/away"
alone=
if unshare --user --map-root-user --net true 2>/dev/null; then
    alone="unshare --user --map-root-user --net"
fi
run() { $alone env -i PATH="$out/fresh/bin:/usr/bin:/bin" HOME="$out/away" HF_HUB_OFFLINE=1 "$@"; }
run vigos --version
run vigos example --out first-run
cd first-run
run vigos train configs/shapes.toml
for file in metrics.jsonl report.html config.toml; do
    test -s "runs/shapes/$file" || { echo "the run left no $file" >&2; exit 1; }
done
echo "the wheel works${alone:+, without a network}: $(ls "$out"/wheels/vigos-*.whl)"
