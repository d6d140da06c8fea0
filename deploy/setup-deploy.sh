#!/bin/sh
# Installs what `npm run test:deploy` needs beside what setup.sh does, as far as it is missing.
set -eu
cd "$(dirname "$0")"
exec sh ./setup.sh dockerd=docker.io docker-compose=docker-compose mmdebstrap=mmdebstrap systemd-nspawn=systemd-container podman=podman runc=runc containerd=containerd busybox=busybox-static promtool=prometheus
