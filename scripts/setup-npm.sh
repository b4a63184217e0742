#!/bin/sh
# Installs the npm packages of package-lock.json, unless they are there. Needs npm alone, and no root.
set -eu
cd "$(dirname "$0")/.."
if ! command -v npm >/dev/null; then
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "npm is missing: install it, or run this as root on Debian or Ubuntu" >&2
    exit 1
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends npm
fi
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund
  touch node_modules/.package-lock.json
fi
