#!/usr/bin/env bash
# Installs what Vernier is built from, on Debian 12 or newer and on Ubuntu 24.04 or newer: only what is missing, so that
# running it again changes nothing and takes no time. Runs as root or through sudo.
set -euo pipefail

packages=(
  g++ cmake ninja-build ccache pkg-config git ca-certificates
  libtorch-dev libopenblas-openmp-dev libdnnl-dev          # tensors; the default BLAS is 50 times slower
  libopencv-core-dev libopencv-imgcodecs-dev               # images are decoded
  nlohmann-json3-dev libcli11-dev libfmt-dev libpcre2-dev libutf8proc-dev libxxhash-dev
  libgtest-dev libgmock-dev libglpk-dev chromium           # tests
  clang-tidy libomp-dev                                    # tools/tidy.sh; clang finds no omp.h but its own
)
# The report page is built with npm. A Node.js that is already there, from wherever, is left alone if it is new enough.
node_major() { local v; v=$(node --version 2>/dev/null) || v=v0; v=${v#v}; echo "${v%%.*}"; }
if ! command -v npm >/dev/null || [ "$(node_major)" -lt 18 ]; then
  packages+=(nodejs npm)
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "setup: this system has no apt. Install the counterparts of these Debian packages by hand:" >&2
  echo "  ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  case $status in ii*|hi*) ;; *) missing+=("$package") ;; esac
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "setup: everything is installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: run this as root, or install sudo; missing: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
