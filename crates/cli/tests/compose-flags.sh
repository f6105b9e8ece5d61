#!/bin/bash
# Writes the flags of Docker Compose's commands as it prints them: command, flag, letter, what its value is.
# usage: crates/cli/tests/compose-flags.sh "$(tests/compose-v2.sh .test-images)"
set -euo pipefail
cd "$(dirname "$0")"

flags() { # command
    # shellcheck disable=SC2086
    "$1" ${2:+$2} --help | sed -nE "s/^ +(-([a-zA-Z]), )?--([a-z0-9-]+)( ([a-zA-Z0-9]+))?( .*)?$/compose${2:+ $2}\t\3\t\2\t\5/p"
}

{
    flags "$1" ""
    sed -nE 's/^docker compose ([a-z]+)$/\1/p' compose-commands.txt | grep -vE '^(alpha|bridge)$' | while read -r command; do
        flags "$1" "$command"
    done
} >compose-flags.tsv
wc -l <compose-flags.tsv
