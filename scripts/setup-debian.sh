#!/bin/sh
# Installs the Debian packages that are missing, as root on Debian or Ubuntu: what the tiers of tests beyond
# `make unit`, the lab and the image need. Does nothing if all is there.
set -eu

# Each line: a file or command whose presence shows that the package is installed, a colon, the Debian
# package.
needs='
npm:npm
ip:iproute2
nft:nftables
tcpdump:tcpdump
dig:bind9-dnsutils
socat:socat
openssl:openssl
busybox:busybox-static
cpio:cpio
depmod:kmod
qemu-system-x86_64:qemu-system-x86
nsenter:util-linux
git:git
/usr/sbin/dnsmasq:dnsmasq-base
/usr/sbin/swanctl:strongswan-swanctl
/usr/lib/ipsec/charon:strongswan-charon
/usr/lib/ipsec/plugins/libstrongswan-openssl.so:libstrongswan-standard-plugins
/usr/lib/ipsec/plugins/libstrongswan-curve25519.so:libstrongswan-extra-plugins
/usr/lib/cni/bridge:containernetworking-plugins
/usr/bin/time:time
iperf3:iperf3
iptables:iptables
buildah:buildah
/usr/sbin/debootstrap:debootstrap
'
PATH=$PATH:/usr/sbin:/sbin
missing=''
for need in $needs; do
  what=${need%%:*}
  case $what in
    /*) [ -e "$what" ] || missing="$missing ${need#*:}" ;;
    *) command -v "$what" >/dev/null || missing="$missing ${need#*:}" ;;
  esac
done

if [ -n "$missing" ]; then
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "missing (Debian package names):$missing" >&2
    echo "install them, or run this as root on Debian or Ubuntu" >&2
    exit 1
  fi
  apt-get update -q
  # strongswan-charon depends on strongswan-starter, whose service would run a charon on the IKE ports of this
  # machine. While it is masked, installing it neither starts nor enables it. RUNLEVEL says the same to System
  # V init.
  mask=/etc/systemd/system/strongswan-starter.service
  if [ ! -e /usr/sbin/ipsec ] && [ ! -e $mask ] && [ ! -L $mask ]; then
    mkdir -p /etc/systemd/system
    ln -s /dev/null $mask
    trap 'rm -f $mask' EXIT
  fi
  # shellcheck disable=SC2086
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
elif command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] && ! apt-cache depends linux-image-amd64 2>/dev/null | grep -q Depends; then
  apt-get update -q
fi
