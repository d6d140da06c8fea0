#!/bin/sh
# `npm run bench`: prepares the machine as far as that is needed, and hands over to main.ts. Plain sh, since it runs before
# node_modules exists.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
peers=
for argument; do
  case $argument in
    -h | --help | help)
      cat "$top/test/bench/usage.txt"
      exit 0
      ;;
    --install-peers) peers="wireguard-go=wireguard-go wg=wireguard-tools nebula=nebula" ;;
  esac
done

# shellcheck disable=SC2086
sh "$top/deploy/setup.sh" ethtool=ethtool sysctl=procps $peers
exec "$top/node_modules/.bin/node" "$top/test/bench/main.ts" "$@"
