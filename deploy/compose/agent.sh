#!/bin/sh
# Runs twilld in the network namespace of its node. A node that was started anew has got another namespace, which nobody
# can enter from here: then this ends, and Docker starts it again in the right one.
#   agent.sh [TWILLD'S FLAGS]
set -eu

mine=$(readlink /proc/self/ns/net)
twilld "$@" &
agent=$!
trap 'kill -TERM "$agent"' TERM INT

# Written by deploy/compose/node.ts.
while kill -0 "$agent" 2>/dev/null && [ "$(cat /run/node.netns)" = "$mine" ]; do
  sleep 1 &
  wait $! || true
done

if kill -0 "$agent" 2>/dev/null; then
  echo "agent: the node was started anew, going to its new network namespace" >&2
  kill -TERM "$agent"
  wait "$agent" || true
  exit 1
fi
wait "$agent"
