#!/usr/bin/env bash
# What training leaves of the damage that the best plan of the same bytes does to a model that tells classes of images, a line a seed:
# KL of the worst class and of all by that plan without training, with values by `auto`, and after training; the largest loss of a
# class above full precision's; CPU minutes.
#
#   bench/finetune_image_bars.sh VERNIER MODEL TRAIN.csv TEST.csv WORK BYTES exact|int8:token SEED[,SEED ...] [FINETUNE OPTIONS]
#
# What no seed changes is made once in WORK. GPU=cuda trains on one. What is trained is the plan of `plan --for-training R`,
# FOR_TRAINING=R, 2 unless told; what it is compared with is the best plan of the bytes. Options take the place of
# `--preset images --dtype bf16 --threads 1`. docs/finetune.md has the figures.
set -euo pipefail
exec 3>&2
if [ $# -lt 8 ]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
vernier=$1 model=$2 train=$3 test=$4 work=$5 bytes=$6 activations=$7 seeds=$8
shift 8
mkdir -p "$work"
schemes=int2:g32:asym,int3:g64:asym,int4:g128:sym,int4:g128:asym,int4:g32:asym,int5:g128:asym,int6:g128:asym,int8:channel:sym
calibration=$work/calibration.safetensors screen=$work/screen.json
said() { "${@:2}" >"$1.log" 2>&1 || { tail -3 "$1.log" >&3; exit 1; }; }
made() { [ -e "$1" ] || said "$1" "${@:2}" -o "$1"; }
made "$calibration" "$vernier" calibrate "$model" --images "$train" --windows 512
made "$screen" "$vernier" screen "$model" --calibration "$calibration" --data "$train" --images 512 --schemes "$schemes"
made "$work/best-$bytes.json" "$vernier" plan "$model" --screen "$screen" --budget "$bytes"
made "$work/trained-$bytes.json" "$vernier" plan "$model" --screen "$screen" --budget "$bytes" --for-training "${FOR_TRAINING:-2}"
before=$work/before-$bytes
made "$before" "$vernier" quantize "$model" --plan "$work/best-$bytes.json" --method auto --calibration "$calibration"
judge() { [ -e "$2" ] || said "$2" "$vernier" evaluate "$1" --reference "$model" --data "$test" --activations "$activations" --json "$2"; }
judge "$before" "$work/before-$bytes-${activations%%:*}.json"
# Training measures what is held out as well, in differentiable operations: a part of it, since all of it is measured above.
part=$work/part.csv
{ head -1 "$test"; sed 1d "$test" | awk -v folder="$(cd "$(dirname "$test")" && pwd)/" 'NR % 20 == 1 { print folder $0 }'; } >"$part"
recipe=(--preset images --dtype bf16 --threads 1)
[ $# -eq 0 ] || recipe=("$@")
for seed in ${seeds//,/ }; do
  out=$work/$bytes-${activations%%:*}-seed$seed
  TIMEFORMAT='%U %S'
  { time said "$out" "$vernier" finetune "$model" --plan "$work/trained-$bytes.json" --method auto --calibration "$calibration" --data "$train" --groups "$part" \
      --activations "$activations" "${recipe[@]}" ${GPU:+--device "$GPU"} --seed "$seed" -o "$out"; } 2>"$out.time"
  judge "$out/model" "$out.json"
  python3 - "$work/before-$bytes-${activations%%:*}.json" "$out.json" "$(tail -1 "$out.time")" "$bytes bytes, inputs $activations, seed $seed" <<'PYTHON'
import json, sys
def judged(path):
    row = next(row for row in json.load(open(path))["rows"] if row["kind"] == "model")
    classes = {name: group for name, group in row["groups"].items() if name.startswith("class ")}
    worst = max(classes, key=lambda name: classes[name]["kl_nats"])
    return classes, worst, classes[worst]["kl_nats"], row["text"]["kl_nats"], max(group["delta_nll_nats"] for group in classes.values())
first, first_name, first_kl, first_all, first_gap = judged(sys.argv[1])
last, last_name, last_kl, last_all, last_gap = judged(sys.argv[2])
worse = [name for name in first if last[name]["kl_nats"] > first[name]["kl_nats"]]
minutes = sum(map(float, sys.argv[3].split())) / 60
print(f"{sys.argv[4]}: {first_kl:.4f} ({first_name[6:]}) -> {last_kl:.4f} ({last_name[6:]}), {last_kl / first_kl:.3f} of it (bar: 0.5), "
      f"all {first_all:.4f} -> {last_all:.4f}, gap {first_gap:+.4f} -> {last_gap:+.4f} (bar: half), worse off: {', '.join(worse) or 'nobody'}, {minutes:.0f} CPU minutes")
PYTHON
done
