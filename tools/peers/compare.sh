#!/bin/sh
# compare.sh VERNIER MODEL_DIR CALIBRATION_TEXT TEXT OUT [WINDOWS]: int4 in groups of 128, symmetric, embedding and output
# matrix kept, by the peers and by vernier from the same windows (48); KL of all of them on TEXT by vernier's evaluation,
# a line each in OUT/table.txt. What OUT already has is not made again.
# PYTHON: one with requirements.txt; METHODS: those of vernier; PEERS: the scripts to run; ITERS: steps of auto-round (200);
# OTHER_TEXT, OTHER_WINDOWS (0, all): a second text, which none is calibrated on, and how many of its first windows.
set -eu
vernier=$1 model=$2 calibration_text=$3 text=$4 out=$5 windows=${6:-48}
here=$(dirname "$0")
mkdir -p "$out"
calibration=$out/calibration.safetensors
[ -e "$calibration" ] ||
  "$vernier" calibrate "$model" --calibration-text "$calibration_text" --windows "$windows" -o "$calibration"
printf '%s\n' '^(embed|lm_head)$ = f32' '.* = int4:g128:sym' > "$out/int4.recipe"
names=
for method in ${METHODS-nearest gptq auto learned}; do
  names="$names vernier-$method"
  [ -e "$out/vernier-$method/config.json" ] ||
    "$vernier" quantize "$model" --recipe "$out/int4.recipe" --method "$method" --calibration "$calibration" \
      -o "$out/vernier-$method"
done
for peer in ${PEERS-auto_round llm_compressor model_optimizer}; do
  name=$peer
  [ "$peer" != auto_round ] || name=auto_round-${ITERS:-200}
  names="$names $name"
  [ -e "$out/$name/model.safetensors" ] || "${PYTHON:-python3}" "$here/peer_$peer.py" "$model" "$calibration" "$out/$name"
done

# evaluate_all TEXT WINDOWS LABEL
evaluate_all() {
  for name in $names; do
    [ -e "$out/$name.$3.json" ] || {
      "$vernier" evaluate "$out/$name" --reference "$model" --data "$1" --windows "$2" --json "$out/$name.$3.partial" \
        > "$out/$name.$3.txt"
      mv "$out/$name.$3.partial" "$out/$name.$3.json"
    }
    printf '%s\t%s\t%s\n' "$name" "$(basename "$1")" "$(sed -n 's/^Mean KLD[^0-9]*//p' "$out/$name.$3.txt")"
  done
}
{
  evaluate_all "$text" 0 text
  [ -z "${OTHER_TEXT:-}" ] || evaluate_all "$OTHER_TEXT" "${OTHER_WINDOWS:-0}" other
} > "$out/table.txt"
cat "$out/table.txt"
