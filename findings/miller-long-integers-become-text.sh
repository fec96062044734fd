#!/usr/bin/env bash
# About: miller 6.6.0, which filters and reshapes JSON lines, CSV and others.
# Expected: "mlr --jsonl cat" gives the lines back: a number of JSON stays a number, with its
#   digits.
# Seen: An integer that needs more than 64 bits comes out as a string, in quotes; shorter integers
#   and decimals keep type and digits.
# Meaning: A field changes its type with its value: after a mere pass through mlr, an upload is
#   refused or stored as text for its largest amounts only.
# Needs: Debian 12 with its package lists (apt-get update).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

apt-get download miller=6.6.0-2+b3 >/dev/null 2>&1
dpkg -x miller_*.deb miller

line='{"amount": 18446744073709551617, "id": 9007199254740993, "rate": 1.10}'
seen=$(printf '%s\n' "$line" | ./miller/usr/bin/mlr --jsonl cat)
printf 'sent: %s\ngot:  %s\n' "$line" "$seen"
[ "$seen" = '{"amount": "18446744073709551617", "id": 9007199254740993, "rate": 1.10}' ]
