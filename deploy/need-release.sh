#!/bin/sh
# Run by `databricks bundle deploy`: stops it where nothing is staged, with what to do.
set -eu
cd "$(dirname "$0")/.."
if [ ! -f release/lakepulse.sha256 ] || [ ! -f release/start.sh ]; then
	echo "release/ is not staged: run make release first" >&2
	exit 1
fi
