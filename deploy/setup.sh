#!/bin/sh
# Installs what the lab and the tests need, as far as it is missing: Debian packages, npm modules, the built programs.
# Plain sh, since it runs before node_modules exists. `npm run lab` and `npm test` begin with it.
#   setup.sh [PROGRAM=PACKAGE ...]   all of it, and these programs by their packages
#   setup.sh modules                 only the npm modules
set -eu

cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# Runs a command quietly under a line that says what it is for; shows what it wrote only if it fails.
step() {
  title=$1; shift
  printf '%s ... ' "$title" >&2
  start=$(date +%s)
  output=$(mktemp)
  if "$@" >"$output" 2>&1 </dev/null; then
    echo "$(($(date +%s) - start)) s" >&2
    rm -f "$output"
  else
    status=$?
    echo "failed" >&2
    cat "$output" >&2
    rm -f "$output"
    return "$status"
  fi
}

has() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
  has etcd || echo etcd-server
  has etcdctl || echo etcd-client
  has ip || echo iproute2
  has nft || echo nftables
  has iptables || echo iptables
  has iperf3 || echo iperf3
  has ping || echo iputils-ping
  has openssl || echo openssl
  has tcpdump || echo tcpdump
  has ethtool || echo ethtool
  has pgrep || echo procps
  { has unshare && has nsenter && has setpriv; } || echo util-linux
  [ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || echo containernetworking-plugins
  for wanted; do has "${wanted%%=*}" || echo "${wanted#*=}"; done
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

install_packages() {
  packages=$(missing_packages "$@" | sort -u | tr '\n' ' ')
  packages=${packages% }
  [ -n "$packages" ] || return 0
  if ! has apt-get; then die "these Debian packages, or what your system has in their place, are missing: $packages"; fi
  [ "$(id -u)" -eq 0 ] || die "packages are missing: sudo apt-get install $packages"
  # Fetching the package lists takes long: only where they do not know the packages, or are too old to install by.
  fresh=
  # shellcheck disable=SC2086
  if ! apt-cache show $packages >/dev/null 2>&1; then
    step "fetching the package lists" apt-get update -q
    fresh=yes
  fi
  # shellcheck disable=SC2086
  if ! step "installing $packages" apt_install $packages; then
    [ -z "$fresh" ] || exit 1
    step "fetching the package lists" apt-get update -q
    # shellcheck disable=SC2086
    step "installing $packages" apt_install $packages
  fi
  case " $packages " in *" etcd-server "*)
    if has systemctl && systemctl is-active --quiet etcd 2>/dev/null; then
      say "the package etcd-server has started an etcd of its own, which the lab does not use: systemctl disable --now etcd"
    fi
  esac
}

install_modules() {
  if [ -f node_modules/.package-lock.json ] && [ -x node_modules/.bin/node ]; then
    [ -n "$(find package-lock.json -newer node_modules/.package-lock.json)" ] || return 0
  fi
  has npm || die "npm is missing: install Node 20 or newer with npm"
  step "installing npm modules" npm ci --no-audit --no-fund
}

build() {
  last=dist/twill-cni.cjs
  if [ -f "$last" ] && [ -f dist/twillctl.cjs ] && [ -f dist/twilld/main.js ]; then
    newer=$(find package.json cmd/twilld cmd/twillctl cmd/twill-cni pkg proto -newer "$last" -type f \
      ! -name '*.test.ts' ! -path 'pkg/lab/*' | head -n 1)
    [ -n "$newer" ] || return 0
  fi
  step "building" npm run build
}

[ "${1-}" = modules ] || install_packages "$@"
install_modules
[ -x node_modules/.bin/node ] || die "the package node is not installed, since npm may not run its install script: npm rebuild node"
[ "${1-}" = modules ] || build
