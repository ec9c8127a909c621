#!/bin/sh
# Starts the staged binary: sh ./start.sh <lakepulse arguments>
#
# Databricks Apps take no file over 10 MB and may lose the executable bit, so the
# binary comes as compressed parts. They are put together in the first directory
# that lets a program run, held against their checksum, and become this process:
# SIGTERM reaches the program itself.
set -eu
cd "$(dirname "$0")"
umask 077

for dir in "${TMPDIR:-/tmp}" /tmp "$PWD"; do
	# One place a user, so that restarts do not fill the disk; nobody else's.
	home=$dir/lakepulse-$(id -u)
	mkdir -p "$home" 2>/dev/null && [ -O "$home" ] && [ ! -L "$home" ] || continue
	new=$home/lakepulse.$$
	if cat lakepulse.gz.* | gzip -dc >"$new" && chmod 0700 "$new"; then
		sum=$(sha256sum "$new")
		if [ "${sum%% *}" != "$(cat lakepulse.sha256)" ]; then
			rm -f "$new"
			echo "start.sh: the parts do not make the binary that was staged; deploy again" >&2
			exit 1
		fi
		# A directory mounted noexec refuses here and the next one is tried.
		if env -i "$new" version >/dev/null 2>&1; then
			mv -f "$new" "$home/lakepulse"
			exec "$home/lakepulse" "$@"
		fi
	fi
	rm -f "$new"
done
echo "start.sh: no directory found in which the binary can be unpacked and run" >&2
exit 1
