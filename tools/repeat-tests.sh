#!/usr/bin/env bash
# Whether tests race: repeats what test.sh has built, every second time with all cores kept busy by something else.
#   tools/repeat-tests.sh [RUNS]        ends at the first run that fails and names its log
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-10}
unset OPENBLAS_CORETYPE
export OMP_WAIT_POLICY=passive  # as test.sh

busy=()
stop() {
  [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" 2>/dev/null || true
  busy=()
}
trap stop EXIT

for ((run = 1; run <= runs; ++run)); do
  load=quiet
  if ((run % 2 == 0)); then
    load=busy
    for ((i = 0; i < $(nproc); ++i)); do
      while :; do :; done &
      busy+=($!)
    done
  fi
  for preset in core-sanitized dev-unity; do
    log=build/repeat-$run-$preset.log
    if ! ctest --preset "$preset" -j "$(nproc)" > "$log" 2>&1; then
      echo "run $run of $runs ($load), $preset: failed; see $log"
      exit 1
    fi
    echo "run $run of $runs ($load), $preset: $(grep 'tests passed' "$log")"
  done
  stop
done
