#!/bin/sh
# Starts the server as PID 1, data in /data/db. At a container's first start the user MONGO_INITDB_ROOT_USERNAME is made, with
# the password MONGO_INITDB_ROOT_PASSWORD. It is a replica set of one from the start. Of the public image's arguments only the
# first is looked at, `mongod`, `bash` ….
set -eu

case "${1:-}" in
  mongod | -* | '') ;;
  *) exec "$@" ;;
esac

# A commit is on disk before it is acknowledged, as with MongoDB at `j: true`.
server="secantusd-rs --storage-path /data/db --port 27017 --auth --sync-on-commit"

# A mark rather than every start: after a SIGKILL it must be the server that recovers, not this script.
done_mark=/data/root-is-made
if [ ! -e "$done_mark" ]; then
  : "${MONGO_INITDB_ROOT_USERNAME:?must be set}" "${MONGO_INITDB_ROOT_PASSWORD:?must be set}"
  # The first user may be made from this machine without being one.
  $server --host 127.0.0.1 &
  create-root 127.0.0.1 27017 "$MONGO_INITDB_ROOT_USERNAME" "$MONGO_INITDB_ROOT_PASSWORD"
  kill $!
  wait $! || true
  touch "$done_mark"
fi
exec $server --host 0.0.0.0
