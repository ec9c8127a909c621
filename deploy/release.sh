#!/usr/bin/env bash
# Stages what the Databricks app is deployed from, in ./release: the binary in
# parts below the 10 MB a workspace file may have, how to start it, and what is in
# it (checksums, bill of materials, licences). `make release` builds the dashboard
# first. With the same sources and Go version the same bytes come out.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
out=${RELEASE_DIR:-release}

if [ ! -f web/dist/index.html ]; then
	echo "release: the dashboard is not built; run make release" >&2
	exit 1
fi
go mod verify >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$work/lakepulse" .

staged=$work/release
mkdir "$staged"
deploy/stage.sh "$work/lakepulse" "$staged"
go run ./deploy/sbom -binary "$work/lakepulse" -version "$version" -out "$staged" \
	-npm web -npm web/tracker
(cd "$staged" && sha256sum -- * >"$work/SHA256SUMS" && mv "$work/SHA256SUMS" .)

too_large=$(find "$staged" -type f -size +9999999c)
if [ -n "$too_large" ]; then
	echo "release: over the 10 MB a workspace file may have: $too_large" >&2
	exit 1
fi
mkdir -p "$out"
find "$out" -mindepth 1 -not -name .gitkeep -delete
cp "$staged"/* "$out/"
echo "staged $version in $out: $(find "$out" -type f | wc -l) files, $(du -sh "$out" | cut -f 1)"
