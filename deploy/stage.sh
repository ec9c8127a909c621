#!/usr/bin/env bash
# stage.sh <binary> <directory>: puts a linux/amd64 binary into the form a
# Databricks app can carry. A workspace file may have 10 MB and may lose its
# executable bit; start.sh puts the parts together again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$1
out=$2

gzip -9 -n -c "$binary" | split -b 9000000 -d -a 2 - "$out/lakepulse.gz."
sha256sum <"$binary" | cut -d ' ' -f 1 >"$out/lakepulse.sha256"
cp "$here/../app.yaml" "$here/start.sh" "$here/../LICENSE" "$out/"
