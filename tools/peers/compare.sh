#!/bin/sh
# compare.sh VERNIER MODEL_DIR CALIBRATION_TEXT TEXT OUT [WINDOWS]: int4 in groups of 128, symmetric, embedding and output
# matrix kept, by the peers and by vernier from the same windows; KL of all of them on TEXT by vernier's evaluation.
# PYTHON: one with requirements.txt; METHODS: those of vernier; PEERS: the scripts to run.
set -eu
vernier=$1 model=$2 calibration_text=$3 text=$4 out=$5 windows=${6:-48}
here=$(dirname "$0")
mkdir -p "$out"
"$vernier" calibrate "$model" --calibration-text "$calibration_text" --windows "$windows" -o "$out/calibration.safetensors"
printf '%s\n' '^(embed|lm_head)$ = f32' '.* = int4:g128:sym' > "$out/int4.recipe"
for method in ${METHODS:-nearest gptq auto learned}; do
  "$vernier" quantize "$model" --recipe "$out/int4.recipe" --method "$method" \
    --calibration "$out/calibration.safetensors" -o "$out/vernier-$method"
done
for peer in ${PEERS:-auto_round llm_compressor model_optimizer}; do
  "${PYTHON:-python3}" "$here/peer_$peer.py" "$model" "$out/calibration.safetensors" "$out/$peer"
done
for folder in "$out"/*/; do
  case $folder in *.work/) continue ;; esac
  "$vernier" evaluate "$folder" --reference "$model" --data "$text" --json "$folder/evaluation.json"
done
