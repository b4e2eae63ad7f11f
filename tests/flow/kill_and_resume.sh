#!/usr/bin/env bash
# A run that is killed at three moments and resumed ends in the same bytes as one that was not.
#   kill_and_resume.sh VERNIER MODEL TEXTS FOLDER EFFORT        (TEXTS has evaluation.txt and groups.jsonl)
# Leaves the run's report as FOLDER/report.html. SEED repeats the moments of another time.
set -euo pipefail
vernier=$1 model=$2 texts=$3 folder=$4 effort=$5
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
mkdir -p "$folder"
work=$(mktemp -d "$folder/run-XXXXXX")  # another test beside this one has its own
trap 'rm -rf "$work"' EXIT
head -n 12 "$texts/groups.jsonl" > "$work/groups.jsonl"
options=(--effort "$effort" --screen-windows 2 --budget +10% --context 256 --windows 4 --calibration-windows 4 --diagnose-windows 2
         --data "$texts/evaluation.txt" --groups "$work/groups.jsonl")
# A run searches two files: by `auto` in one of the two flows, in the other by the feedback that it tries first, which is
# most of the time that both would take.
[[ $effort != exact ]] || options+=(--method gptq)
run() { "$vernier" --quiet run "$model" "${options[@]}" -o "$1"; }

run "$work/whole" > "$work/whole.txt"

# Moments are files that a run writes on its way, and not seconds: how long a busy machine takes says nothing.
# Sorted, since the order of a folder is not the same twice and a seed means the same moments.
mapfile -t moments < <(cd "$work/whole" && find manifest.json calibration.safetensors diagnosis.json work -type f | sort)

kills=0
patience=400  # ms at most between the moment and the signal
for attempt in {1..20}; do
  out="$work/killed-$attempt"
  moment=${moments[RANDOM % ${#moments[@]}]}
  setsid "$vernier" --quiet run "$model" "${options[@]}" -o "$out" > "$work/killed.txt" 2>&1 &
  pid=$!
  while [[ ! -e $out/$moment ]] && kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
  sleep "$(printf '0.%03d' $(( RANDOM % patience )))"
  kill -KILL "$pid" 2> /dev/null || true
  status=0
  wait "$pid" 2> /dev/null || status=$?
  if [[ $status == 0 ]]; then
    # What the moment left to do was done before the signal came: the next one comes sooner.
    echo "run $attempt: done soon after $moment"
    patience=$(( patience / 2 + 1 ))
    continue
  fi
  [[ $status == 137 ]] || { echo "run $attempt: exit status $status"; cat "$work/killed.txt"; exit 1; }
  echo "run $attempt: killed after $moment, with $(find "$out" -type f | wc -l) files"
  run "$out" > "$work/resumed.txt"
  for artefact in manifest.json calibration.safetensors diagnosis.json damage.json front.json plan.json model.gguf evaluation.json report.html; do
    cmp "$work/whole/$artefact" "$out/$artefact"
  done
  (( ++kills < 3 )) || break
done
(( kills == 3 )) || { echo "only $kills of the runs were killed in time"; exit 1; }
mv "$work/whole/report.html" "$folder/report.html"
echo "$kills kills, resumed to identical artefacts"
