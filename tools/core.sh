#!/usr/bin/env bash
# The loop of an edit: builds the torch-free half and runs all its tests, one process per core. Ten seconds after an edit of
# one file on two cores.
#   tools/core.sh [arguments of the tests, such as --gtest_filter='Knapsack*']
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build/core/build.ninja ] || cmake --preset core
cmake --build --preset core --target core_tests -j "$(nproc)"

shards=$(nproc) tests=()
for ((i = 0; i < shards; ++i)); do
  GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$i build/core/tests/core_tests --gtest_brief "$@" &
  tests+=($!)
done
failed=0
for pid in "${tests[@]}"; do wait "$pid" || failed=1; done
exit $failed
