#!/usr/bin/env bash
# Runs one named stage of a longer command and notes how long it took; `table` prints what ran and where the time went.
#   scripts/stage.sh begin                forgets earlier stages
#   scripts/stage.sh run NAME COMMAND...  runs COMMAND
#   scripts/stage.sh table                prints the tests that ran and the time of each stage
set -euo pipefail
notes=.out/stages
output=.out/stages.log
mkdir -p .out
case "${1:-}" in
begin) : >"$notes" && : >"$output" ;;
run)
    name=$2
    shift 2
    printf '\n== %s\n' "$name"
    begun=$(date +%s)
    status=0
    "$@" 2>&1 | tee -a "$output" || status=$?
    printf '%s\t%s\t%s\n' "$(($(date +%s) - begun))" "$status" "$name" >>"$notes"
    exit "$status"
    ;;
table)
    printf '\nTests that ran:\n'
    grep -aE 'Test run with [0-9]+ tests|^RESULT ' "$output" | sed 's/^/  /' || echo '  none'
    # What was left out is no pass, and is said.
    grep -aE '^➜ (Test|Suite) .* skipped' "$output" | sort -u | head -40 | sed 's/^/  /' || true
    # What failed is named here too, since a long log may be cut.
    grep -aE '^✘ Test .* recorded an issue' "$output" | sort -u | head -20 | sed 's/^/  /' || true
    printf '\nWhere the time went:\n'
    awk -F '\t' '{ printf "  %5d s  %s%s\n", $1, $3, ($2 == 0 ? "" : "  (failed)"); sum += $1 }
                 END { printf "  %5d s  in all\n", sum }' "$notes"
    ;;
*)
    echo "usage: scripts/stage.sh begin | run NAME COMMAND... | table" >&2
    exit 2
    ;;
esac
