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

start=$(date +%s%N)
run "$work/whole" > "$work/whole.txt"
took_ms=$(( ($(date +%s%N) - start) / 1000000 ))
echo "uninterrupted: ${took_ms} ms"

kills=0
for attempt in {1..9}; do  # a quiet machine may finish before the moment that a busy one was measured for
  delay_ms=$(( took_ms * (5 + RANDOM % 80) / 100 ))
  out="$work/killed-$attempt"
  setsid "$vernier" --quiet run "$model" "${options[@]}" -o "$out" > /dev/null 2>&1 &
  pid=$!
  sleep "$(printf '%d.%03d' $((delay_ms / 1000)) $((delay_ms % 1000)))"
  kill -KILL "$pid" 2> /dev/null || true
  status=0
  wait "$pid" 2> /dev/null || status=$?
  [[ $status == 137 ]] || { echo "run $attempt: done before ${delay_ms} ms"; continue; }
  echo "run $attempt: killed after ${delay_ms} ms with $(find "$out" -type f 2> /dev/null | wc -l) files"
  run "$out" > "$work/resumed.txt"
  for artefact in manifest.json calibration.safetensors diagnosis.json plan.json model.gguf evaluation.json report.html; do
    cmp "$work/whole/$artefact" "$out/$artefact"
  done
  (( ++kills < 3 )) || break
done
(( kills == 3 )) || { echo "only $kills of the runs were killed in time"; exit 1; }
echo "$kills kills, resumed to identical artefacts"
