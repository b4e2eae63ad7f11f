#!/usr/bin/env bash
# The examples in the opening comments of public headers, lines that begin with `//   `, as one source file: a function
# per header. What does not compile is reported at the header's own line.
#
#   extract.sh include/vernier/*.h > examples.cpp
set -euo pipefail

echo '#include "header_examples/context.h"'
for header; do printf '#include "vernier/%s"\n' "$(basename "$header")"; done
echo 'namespace vernier {'
for header; do
  printf 'std::optional<std::string> example_of_%s() {\n' "$(basename "$header" .h)"
  # Of the opening comment only; what names a symbol of its own stays inside the function.
  awk -v file="$header" '/^#include|^namespace/ { exit } sub(/^\/\/   /, "") { printf "#line %d \"%s\"\n%s\n", NR, file, $0 }' "$header"
  printf 'return {};\n}\n'
done
echo '}  // namespace vernier'
