#!/bin/sh
# Prints the path of a folder with kube-apiserver, etcd, kubectl and helm, for the tests of the tier
# "apiserver". The folder is KUBEBUILDER_ASSETS if that is set. Otherwise it is one in the user's cache, which
# is filled the first time: kube-apiserver and helm are built from their Go modules (some minutes); etcd and
# kubectl are taken out of Debian's packages without installing them.
set -eu
cd "$(dirname "$0")/../test/apiserver/assets"
if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  echo "$KUBEBUILDER_ASSETS"
  exit
fi
version=$(sed -n 's/.*k8s\.io\/kubernetes \(v[0-9.]*\).*/\1/p' go.mod)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/trapline/kube-$version
if [ ! -x "$folder/kube-apiserver" ] || [ ! -x "$folder/etcd" ] || [ ! -x "$folder/kubectl" ] || [ ! -x "$folder/helm" ]; then
  go=$(command -v go || echo /usr/local/go/bin/go)
  for need in "$go" apt-get dpkg-deb; do
    command -v "$need" >/dev/null || { echo "kube-apiserver is missing: set KUBEBUILDER_ASSETS, or install Go on Debian" >&2; exit 1; }
  done
  echo "building kube-apiserver $version, once; this takes some minutes" >&2
  work=$folder.$$.tmp
  mkdir -p "$work/deb"
  trap 'rm -rf "$work"' EXIT
  CGO_ENABLED=0 "$go" build -trimpath -ldflags='-s -w' -o "$work/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver >&2
  (cd helm && CGO_ENABLED=0 "$go" build -trimpath -ldflags='-s -w' -o "$work/helm" helm.sh/helm/v3/cmd/helm >&2)
  apt-cache policy etcd-server | grep -q Candidate || apt-get update -q >&2
  (cd "$work/deb" && apt-get download -q etcd-server kubernetes-client >&2 && for deb in *.deb; do dpkg-deb -x "$deb" .; done)
  cp "$work/deb/usr/bin/etcd" "$work/deb/usr/bin/kubectl" "$work/"
  rm -rf "$work/deb" "$folder"
  mv "$work" "$folder"
fi
echo "$folder"
