#!/usr/bin/env bash
# Makes the two root filesystems of the node level from Debian's packages:
#
#   roots.sh OUT NODE
#
# OUT/base stands for the images that our Dockerfile is FROM, with NODE as its /usr/local/bin/node and the packages that
# the Dockerfile would install. OUT/node is the machine's: containerd, what it needs, and buildah. Without debootstrap on
# the PATH its package is unpacked. OUT appears when it is complete.
set -euo pipefail
suite=bookworm mirror=http://deb.debian.org/debian

if [ "$1" != inside ]; then
  # debootstrap's mounts and processes end with us.
  exec unshare --mount --pid --fork --kill-child --propagation private bash "${BASH_SOURCE[0]}" inside "$@"
fi
out=$2 node=$3
making=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$making"' EXIT
mount -t proc proc /proc

debootstrap=debootstrap
if ! command -v debootstrap >/dev/null; then
  mkdir "$making/deb"
  (cd "$making/deb" && apt-get -qq download debootstrap 2>&1) || { echo 'debootstrap cannot be downloaded' >&2; exit 1; }
  dpkg-deb -x "$making"/deb/*.deb "$making/deb"
  export DEBOOTSTRAP_DIR=$making/deb/usr/share/debootstrap
  debootstrap=$making/deb/usr/sbin/debootstrap
fi
"$debootstrap" --variant=minbase --include=tini,ca-certificates,git,openssh-client "$suite" "$making/base" "$mirror" \
  >"$making/log" 2>&1 || { tail -3 "$making/log" >&2; exit 1; }
cp -a "$making/base" "$making/node"
cp "$node" "$making/base/usr/local/bin/node"

printf '#!/bin/sh\nexit 101\n' >"$making/node/usr/sbin/policy-rc.d"
chmod 755 "$making/node/usr/sbin/policy-rc.d"
chroot "$making/node" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
  buildah conntrack containerd containernetworking-plugins iproute2 ipset iptables procps runc >"$making/log" 2>&1 ||
  { tail -3 "$making/log" >&2; exit 1; }

for root in base node; do
  rm -rf "$making/$root"/var/cache/apt/* "$making/$root"/var/lib/apt/lists/*
done
rm -rf "$making/deb" "$making/log"
chmod 755 "$making"
mv "$making" "$out"
