#!/bin/sh
# Makes proto/gen from the .proto files. With --check it changes nothing and fails where proto/gen is not what it would make.
set -eu
cd "$(dirname "$0")"
pbjs=../node_modules/.bin/pbjs
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The types are made from the comments, which the code itself can do without: two runs.
run() {
  "$pbjs" --target static-module --wrap esm --root twill --path . \
    --no-create --no-delimited --no-typeurl --no-service --no-verify --no-convert \
    "$@" twill/v1/agent.proto grpc/health/v1/health.proto
}
run --dts --out "$out/agent.js"
run --no-comments --out "$out/agent.js"
node descriptors.mjs >"$out/descriptors.js"
node descriptors.mjs --dts >"$out/descriptors.d.ts"

if [ "${1:-}" = --check ]; then
  diff -r "$out" gen >/dev/null || { echo "proto/gen is not current: run npm run generate" >&2; exit 1; }
else
  mkdir -p gen
  mv "$out"/* gen/
fi
