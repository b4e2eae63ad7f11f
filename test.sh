#!/usr/bin/env bash
# Every test: the torch-free half under AddressSanitizer and UBSan, then everything; then clang-tidy on what has changed.
set -euo pipefail
cd "$(dirname "$0")"

tools/setup-debian.sh
# Set by some environments to an old processor, which makes matrix products several times slower.
unset OPENBLAS_CORETYPE
# Tests run beside each other, each with as many threads as there are cores: one that spins while it waits takes a core
# from another.
export OMP_WAIT_POLICY=passive

for preset in core-sanitized dev-unity; do
  echo "== $preset: configure"
  cmake --preset "$preset"
  echo "== $preset: build"
  cmake --build --preset "$preset" -j "$(nproc)"
  echo "== $preset: test"
  ctest --preset "$preset" -j "$(nproc)"
done

echo "== tidy: what has changed"
cmake --preset dev > build/dev-configure.log  # its list of commands has every file, that of a unity build has none
TIDY_MAX_FILES=8 tools/tidy.sh
