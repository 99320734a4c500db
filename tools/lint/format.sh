#!/usr/bin/env bash
# clang-format 19 over the whole tree: tools/lint/format.sh [--fix] [FILE...]; without --fix it only shows what differs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fix=
if [ "${1:-}" = --fix ]; then
    fix=yes
    shift
fi
if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -d '' files < <(tools/lint/files.py --null .cpp .hpp)
fi
[ ${#files[@]} -gt 0 ] || exit 0
if [ -n "$fix" ]; then
    clang-format-19 -i "${files[@]}"
    exit
fi

differences=$(mktemp)
trap 'rm -f "$differences"' EXIT
different=()
for file in "${files[@]}"; do
    clang-format-19 "$file" | diff -u --label "$file" --label "$file, formatted" "$file" - >>"$differences" || different+=("$file")
done
if [ ${#different[@]} -gt 0 ]; then
    head -n 100 "$differences"
    printf '%s\n' "${different[@]}"
    echo "format: FAILED: ${#different[@]} of ${#files[@]} files (tools/lint/format.sh --fix formats them)"
    exit 1
fi
echo "format: ${#files[@]} files"
