#!/bin/sh
# Prints the path of a folder with Debian 13's strongSwan 6.0, a root for chroot, for tests against a second
# version of charon. The folder is TRAPLINE_CHARON_ROOT if that is set. Otherwise it is one in the user's
# cache, which debootstrap fills the first time (300 MB, about a minute).
set -eu
if [ -n "${TRAPLINE_CHARON_ROOT:-}" ]; then
  echo "$TRAPLINE_CHARON_ROOT"
  exit
fi
folder=${XDG_CACHE_HOME:-$HOME/.cache}/trapline/charon-trixie
if [ ! -x "$folder/usr/lib/ipsec/charon" ]; then
  PATH=$PATH:/usr/sbin:/sbin
  if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "charon 6.0 is missing: set TRAPLINE_CHARON_ROOT, or run this as root with debootstrap" >&2
    exit 1
  fi
  work=$folder.$$.tmp
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$(dirname "$folder")"
  packages=strongswan-charon,strongswan-swanctl,libstrongswan-standard-plugins,libstrongswan-extra-plugins
  debootstrap --variant=minbase --include="$packages" trixie "$work" >&2
  rm -rf "$work"/var/cache/apt "$work"/var/lib/apt/lists "$folder"
  mv "$work" "$folder"
fi
echo "$folder"
