#!/bin/sh
# Builds the container image with buildah: scripts/image.sh [tag]. BASE is the Debian image that it is built
# upon (debian:trixie-slim unless set). BASE=debootstrap makes that image of Debian's packages, where no
# registry can be reached. Needs no root where buildah needs none.
set -eu
cd "$(dirname "$0")/.."
tag=${1:-localhost/trapline:$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
for file in trapline trapline-agent traplinectl; do
  [ -x "pkg/dist/$file" ] || { echo "pkg/dist/$file is missing: run make build" >&2; exit 1; }
done
PATH=$PWD/node_modules/.bin:$PATH npm sbom --sbom-format spdx --omit dev > pkg/dist/sbom.spdx.json

base=${BASE:-docker.io/library/debian:trixie-slim}
if [ "$base" = debootstrap ]; then
  base=localhost/debian-base
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  debootstrap --variant=minbase "${SUITE:-bookworm}" "$root"
  container=$(buildah from scratch)
  buildah copy -q "$container" "$root" /
  buildah commit -q --rm "$container" "$base"
fi
buildah build ${ISOLATION:+--isolation "$ISOLATION"} --build-arg BASE="$base" --build-arg VERSION="${tag##*:}" \
  --file conf/container/Containerfile --tag "$tag" .
echo "$tag"
