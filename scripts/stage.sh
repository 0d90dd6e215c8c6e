#!/bin/sh
# Runs one named stage of a longer command and notes how long it took; `table` prints what was noted.
#   scripts/stage.sh begin                forgets earlier stages
#   scripts/stage.sh run NAME COMMAND...  runs COMMAND
#   scripts/stage.sh table                prints where the time went
set -eu
notes=.out/stages
mkdir -p .out
case "$1" in
begin) : >"$notes" ;;
run)
    name=$2
    shift 2
    printf '\n== %s\n' "$name"
    begun=$(date +%s)
    status=0
    "$@" || status=$?
    printf '%s\t%s\t%s\n' "$(($(date +%s) - begun))" "$status" "$name" >>"$notes"
    exit "$status"
    ;;
table)
    printf '\nWhere the time went:\n'
    awk -F '\t' '{ printf "  %5d s  %s%s\n", $1, $3, ($2 == 0 ? "" : "  (failed)"); sum += $1 }
                 END { printf "  %5d s  in all\n", sum }' "$notes"
    ;;
*)
    echo "usage: scripts/stage.sh begin | run NAME COMMAND... | table" >&2
    exit 2
    ;;
esac
