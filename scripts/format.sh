#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats all C++ sources; with --check, names the files that would change and exits with 1 if there are any.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(find src bench tests tools web include python -name '*.cpp' -o -name '*.h' 2>/dev/null | sort)
if [ "${1:-}" = --check ]; then
  changed=$(clang-format-19 --dry-run "${files[@]}" 2>&1 | sed -n 's/^\([^ :]*\):[0-9].*clang-format-violations.*/\1/p' | sort -u)
  [ -z "$changed" ] || { printf '%s\n' "$changed" "run scripts/format.sh"; exit 1; }
else
  clang-format-19 -i "${files[@]}"
fi
