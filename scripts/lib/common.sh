# shellcheck shell=bash
# What every script here needs: messages, root, the place for logs. Sourced, never run.

# Debian keeps dockerd and debootstrap where a plain user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
logs=${CARGO_TARGET_DIR:-$repository/target}/test-servers

say() { echo "$(basename "$0"): $*" >&2; }

die() {
  say "$*"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "'$*' needs root, and there is no sudo"
    return 1
  fi
}

# For tests that set clocks: they say so where it is missing.
want_libfaketime() {
  compgen -G '/usr/lib*/faketime/libfaketime.so.1' >/dev/null && return
  compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null && return
  # In a shell of its own, for nothing else needs it.
  (install_packages libfaketime) || say "no libfaketime: no test sets a clock"
}

install_packages() {
  local log=$logs/apt.log
  command -v apt-get >/dev/null || return 1
  mkdir -p "$logs"
  say "installing $* (log: $log)"
  as_root apt-get update -qq >"$log" 2>&1 || say "apt-get update failed: going on with the lists that are there"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 "$@" \
    >>"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    return 1
  }
}
