#!/usr/bin/env bash
# What training leaves of the damage of the best plan at the same bytes, a line a seed: KL of the worst group of GROUPS by that plan
# without training, after training, and the latter over the former.
#
#   bench/finetune_bars.sh VERNIER MODEL CALIBRATION.txt LEARNED.jsonl GROUPS.jsonl WORK BYTES k-quants|codebooks SEED[,SEED ...] [FINETUNE OPTIONS]
#
# What no seed changes is made once in WORK: calibration, screen, plan, and the plan's file with values by `auto`, which takes
# ten minutes of two cores with codebooks for 26 million weights. GPU=cuda trains on one. FOR_TRAINING=R trains the plan of `plan --for-training R`;
# what it is compared with stays the best plan of the bytes. docs/finetune.md has the figures; `--batch`, `--level-rate` and so on are given behind
# the seeds.
set -euo pipefail
if [ $# -lt 9 ]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
vernier=$1 model=$2 text=$3 learned=$4 groups=$5 work=$6 bytes=$7 kind=$8 seeds=$9
shift 9
case $kind in
  k-quants) codebooks=() ;;
  codebooks) codebooks=(--codebooks) ;;
  *) echo "finetune_bars: $kind: expected k-quants or codebooks" >&2; exit 2 ;;
esac
mkdir -p "$work"
calibration=$work/calibration.safetensors screen=$work/screen.json plan=$work/$kind-$bytes.json begin=$work/$kind-$bytes.gguf
schemes=gguf:q2_k,gguf:q3_k,gguf:q4_k,gguf:q5_k,gguf:iq2_xxs,gguf:iq2_xs,gguf:iq2_s,gguf:iq3_xxs,gguf:iq3_s,gguf:iq4_xs
made() { [ -e "$1" ] || { "${@:2}" -o "$1" >"$1.log" 2>&1 || { tail -3 "$1.log" >&2; exit 1; }; }; }
made "$calibration" "$vernier" calibrate "$model" --calibration-text "$text"
made "$screen" "$vernier" screen "$model" --calibration "$calibration" --data "$text" --schemes "$schemes"
made "$plan" "$vernier" plan "$model" --screen "$screen" --budget "$bytes" "${codebooks[@]}"
made "$begin" "$vernier" export "$model" --plan "$plan" --method auto --calibration "$calibration"

gpu=()
[ -z "${GPU:-}" ] || gpu=(--device "$GPU" --dtype bf16 --kernel-attention)
reference=
if [ -n "${FOR_TRAINING:-}" ]; then
  reference=$work/$kind-$bytes-untrained
  [ -e "$reference/finetune.json" ] || "$vernier" finetune "$model" --plan "$plan" --begin "$begin" --data "$learned" --groups "$groups" \
    --drop-shared --validation-examples 1 --steps 1 "${gpu[@]}" -o "$reference" >"$reference.log" 2>&1 || { tail -3 "$reference.log" >&2; exit 1; }
  kind=$kind-for-training-$FOR_TRAINING
  plan=$work/$kind-$bytes.json begin=$work/$kind-$bytes.gguf
  made "$plan" "$vernier" plan "$model" --screen "$screen" --budget "$bytes" "${codebooks[@]}" --for-training "$FOR_TRAINING"
  made "$begin" "$vernier" export "$model" --plan "$plan" --method auto --calibration "$calibration"
fi
for seed in ${seeds//,/ }; do
  out=$work/$kind-$bytes-seed$seed
  begun=$SECONDS
  "$vernier" finetune "$model" --plan "$plan" --begin "$begin" --calibration "$calibration" --data "$learned" --groups "$groups" \
    --drop-shared --sampling balanced --refit-steps 0 --decay exponential --average 0.999 --seed "$seed" "${gpu[@]}" "$@" \
    -o "$out" >"$out.log" 2>&1 || { tail -3 "$out.log" >&2; exit 1; }
  python3 - "$out/finetune.json" "$kind $bytes bytes, seed $seed" $((SECONDS - begun)) "${reference:-$out}/finetune.json" <<'PYTHON'
import json, sys
models = {"before": json.load(open(sys.argv[4]))["models"]["before"], "after": json.load(open(sys.argv[1]))["models"]["after"]}
worst = {when: max((group["kl_nats"], name) for name, group in models[when]["groups"].items()) for when in ("before", "after")}
(before, first), (after, last) = worst["before"], worst["after"]
worse = [name for name, group in models["after"]["groups"].items() if group["kl_nats"] > models["before"]["groups"][name]["kl_nats"]]
print(f"{sys.argv[2]}: {before:.4f} ({first}) -> {after:.4f} ({last}), {after / before:.3f} of it (bar: 0.5), "
      f"all {models['before']['all']['kl_nats']:.4f} -> {models['after']['all']['kl_nats']:.4f}, worse off: {', '.join(worse) or 'nobody'}, {sys.argv[3]} s")
PYTHON
done
