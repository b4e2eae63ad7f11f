#!/usr/bin/env bash
# clang-tidy, by the checks of .clang-tidy, on the sources that differ from a base; headers are checked with the sources
# that include them. About 10 s a file, 30 s with libtorch. The dev preset must have been configured, not built.
#
#   tools/tidy.sh                      # since the branch left main, or else since the last commit; with what is uncommitted
#   tools/tidy.sh v0.1.0               # since then
#   tools/tidy.sh --all                # everything
#   TIDY_MAX_FILES=12 tools/tidy.sh    # no more than so many files, and a line about those left out
#
# Findings are errors with version 14, which the checks were chosen with; others know other checks, and theirs are only told.
set -euo pipefail
cd "$(dirname "$0")/.."

tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [ -z "$tidy" ]; then
  echo "tidy: clang-tidy is not installed; tools/setup-debian.sh installs it" >&2
  exit 1
fi
if [ ! -f build/dev/compile_commands.json ]; then
  echo "tidy: build/dev/compile_commands.json is missing; run cmake --preset dev" >&2
  exit 1
fi

# What a branch has changed; on main, or where there is no main (a shallow clone), the last commit.
default_base() {
  local main base
  for main in origin/main main; do
    base=$(git merge-base HEAD "$main" 2>/dev/null) || continue
    [ "$base" = "$(git rev-parse HEAD)" ] || { echo "$base"; return; }
  done
  git rev-parse --verify --quiet HEAD~1 || git rev-parse HEAD
}
if ! git rev-parse --git-dir >/dev/null 2>&1; then
  echo "tidy: not a git checkout, so that nothing tells what has changed; skipped"
  exit 0
fi
if [ "${1:-}" = --all ]; then
  candidates=$(git ls-files '*.cpp')
else
  base=${1:-$(default_base)}
  candidates=$(git diff --name-only --diff-filter=d "$base" -- '*.cpp'; git ls-files --others --exclude-standard '*.cpp')
fi

# As clang can read it: without g++'s precompiled header, and with what libtorch's headers need under clang in C++20
# ("arithmetic on a pointer to an incomplete type 'c10::IValue'") where there is libtorch.
database=build/dev/tidy
mkdir -p "$database"
sed -E -e 's/ -Winvalid-pch -include [^ ]*cmake_pch\.hxx//; s/ -Werror / /' \
       -e '/torch\/csrc\/api\/include/ s/ -c / -include ATen\/core\/ivalue.h -c /' \
  build/dev/compile_commands.json > "$database/compile_commands.json"

# The library before its tests, for where only the first few are wanted.
files=()
for file in $(grep -v '_test\.cpp$' <<< "$candidates" || true) $(grep '_test\.cpp$' <<< "$candidates" || true); do
  grep -qF "\"$PWD/$file\"" "$database/compile_commands.json" && files+=("$file")
done
most=${TIDY_MAX_FILES:-${#files[@]}}
if [ ${#files[@]} -gt "$most" ]; then
  echo "tidy: only the first $most of ${#files[@]} changed files; tools/tidy.sh does all"
  files=("${files[@]:0:$most}")
fi
if [ ${#files[@]} -eq 0 ]; then
  echo "tidy: no source has changed"
  exit 0
fi

errors=()
if "$tidy" --version | grep -q 'version 14\.'; then errors=('--warnings-as-errors=*'); fi
echo "tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" |
  xargs -0 -n 1 -P "$(nproc)" "$tidy" -p "$database" --quiet "${errors[@]}" 2> >(grep -vE '^[0-9]+ warnings? (treated as errors?|generated)' >&2 || true)
echo "tidy: done"
