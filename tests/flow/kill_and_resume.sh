#!/usr/bin/env bash
# A run that is killed at three moments and resumed ends in the same bytes as one that was not.
#   kill_and_resume.sh VERNIER MODEL TEXTS FOLDER        (TEXTS has evaluation.txt and groups.jsonl)
set -euo pipefail
vernier=$1 model=$2 texts=$3 work=$4
rm -rf "$work" && mkdir -p "$work"
head -n 12 "$texts/groups.jsonl" > "$work/groups.jsonl"
options=(--budget +10% --context 256 --windows 4 --calibration-windows 4 --diagnose-windows 2
         --data "$texts/evaluation.txt" --groups "$work/groups.jsonl")
run() { "$vernier" --quiet run "$model" "${options[@]}" -o "$1"; }

run "$work/whole" > "$work/whole.txt"

# Moments are files that a run writes on its way, and not seconds: how long a busy machine takes says nothing.
mapfile -t moments < <(cd "$work/whole" && find manifest.json calibration.safetensors diagnosis.json work -type f)

kills=0
for attempt in {1..9}; do  # what the moment leaves to do may be done before the signal comes
  out="$work/killed-$attempt"
  moment=${moments[RANDOM % ${#moments[@]}]}
  setsid "$vernier" --quiet run "$model" "${options[@]}" -o "$out" > /dev/null 2>&1 &
  pid=$!
  while [[ ! -e $out/$moment ]] && kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
  sleep "0.$(( RANDOM % 4 ))$(( RANDOM % 10 ))"
  kill -KILL "$pid" 2> /dev/null || true
  status=0
  wait "$pid" 2> /dev/null || status=$?
  [[ $status == 137 ]] || { echo "run $attempt: done soon after $moment"; continue; }
  echo "run $attempt: killed after $moment, with $(find "$out" -type f | wc -l) files"
  run "$out" > "$work/resumed.txt"
  for artefact in manifest.json calibration.safetensors diagnosis.json plan.json model.gguf evaluation.json report.html; do
    cmp "$work/whole/$artefact" "$out/$artefact"
  done
  (( ++kills < 3 )) || break
done
(( kills == 3 )) || { echo "only $kills of the runs were killed in time"; exit 1; }
echo "$kills kills, resumed to identical artefacts"
