#!/bin/sh
# `npm run lab`: prepares the machine as far as that is needed, and hands over to main.ts. Plain sh, since it runs before
# node_modules exists.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$PATH:/usr/sbin:/sbin

case ${1-up} in
  -h | --help | help)
    cat "$top/cmd/lab/usage.txt"
    exit 0
    ;;
  up | -*) sh "$top/deploy/setup.sh" ;;
  *) sh "$top/deploy/setup.sh" modules ;;
esac
exec "$top/node_modules/.bin/node" "$top/cmd/lab/main.ts" "$@"
