#!/bin/sh
# quantize_memory.sh VERNIER MODEL TEXT OUT [SCHEME] [METHOD]: seconds and peak memory of calibrating on 100 windows of 512
# tokens and of quantizing, whole and per billion parameters; the bar is 24 GiB. MODEL: tools/make_large_model.py makes one.
set -eu
vernier=$1 model=$2 text=$3 out=$4 scheme=${5:-gguf:q4_k} method=${6:-gptq}
mkdir -p "$out"
parameters=$("$vernier" --quiet inspect "$model" --json - | python3 -c 'import json, sys; print(json.load(sys.stdin)["parameters"])')
measured() {
  name=$1
  shift
  /usr/bin/time -f '%e %U %S %M' -o "$out/time" "$@" > "$out/$name.log"
  awk -v name="$name" -v n="$parameters" '{
    gib = $4 / 1048576; billions = n / 1e9
    printf "%-10s %.0f s, %.0f CPU s, peak %.2f GiB; per 1e9 parameters %.0f s, %.0f CPU s, %.2f GiB; bar 24 GiB, %s\n",
           name, $1, $2 + $3, gib, $1 / billions, ($2 + $3) / billions, gib / billions, gib <= 24 ? "reached" : "missed"
  }' "$out/time"
}
measured calibrate "$vernier" calibrate "$model" --calibration-text "$text" --windows 100 -o "$out/calibration.safetensors"
measured quantize "$vernier" export "$model" --scheme "$scheme" --method "$method" \
  --calibration "$out/calibration.safetensors" -o "$out/model.gguf"
