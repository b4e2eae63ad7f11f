#!/usr/bin/env bash
# From a fresh checkout to a report: installs what is missing, builds, and runs the whole chain on the model that comes
# with Vernier. Running it again goes on where it stopped.
set -euo pipefail
cd "$(dirname "$0")"

tools/setup-debian.sh
# Set by some environments to an old processor, which makes matrix products several times slower.
unset OPENBLAS_CORETYPE
cmake --preset release
cmake --build --preset release -j "$(nproc)"
build/release/bin/vernier run models/demo-5m --budget +10% --target llama.cpp -o out/demo

echo
echo "The report is $PWD/out/demo/report.html: open it in a browser."
echo "The model is  $PWD/out/demo/model.gguf: llama.cpp loads it as it is."
