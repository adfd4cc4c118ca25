# shellcheck shell=bash
# Builds the images of test servers from Debian's packages, for machines that reach no registry. Sourced, never run;
# wants common.sh, servers.sh and images.sh. A tag carries the hash of all that went into the image, so that it is its own cache.

recipes=$repository/scripts/images

can_build() { command -v debootstrap >/dev/null || command -v apt-get >/dev/null; }

# The tag that a server's image has, built or not.
built_image() {
  local recipe hash
  recipe=$recipes/$(recipe_of "$1")
  hash=$({ base_image "$(suite_of "$1")" && flavour_of "$1" && cat "$recipe"/*; } | short_hash)
  echo "golock-test/$1:$hash"
}

base_image() { echo "golock-test/debian:$1-$(cat "$recipes"/debian/* | short_hash)"; }

short_hash() { sha256sum | cut -c1-12; }

# One chain a suite, the chains at the same time: the base first, then its servers one by one. What has to be compiled takes
# longest, and does not wait for its turn.
build_images() {
  can_build || die "no image for $*: nothing could be pulled, and building one takes debootstrap, which is not here"
  if ! command -v debootstrap >/dev/null; then
    install_packages debootstrap debian-archive-keyring || die "debootstrap could not be installed"
  fi

  # Two runs at the same time would do the work twice.
  exec 9>"$logs/build.lock"
  flock 9

  local id suite pid chains=() failed=no
  for id in "$@"; do
    if is_compiled "$id"; then
      compile_and_build "$id" &
      chains+=($!)
    fi
  done
  for suite in $(for_each suite_of "$@" | sort -u); do
    build_chain "$suite" "$@" &
    chains+=($!)
  done
  for pid in "${chains[@]}"; do wait "$pid" || failed=yes; done
  exec 9>&-
  [ $failed = no ] || die "not every image could be built"
}

build_chain() {
  local suite=$1 id
  shift
  build_base "$suite"
  for id in "$@"; do
    if [ "$(suite_of "$id")" = "$suite" ] && ! is_compiled "$id"; then build_server "$id" "$recipes/$(recipe_of "$id")"; fi
  done
}

is_compiled() { [ -e "$recipes/$(recipe_of "$1")/prepare" ]; }

# Its recipe's `prepare` makes a binary with this machine's cargo. The base, Debian's newest, has no older C library.
compile_and_build() {
  local context log=$logs/$1-prepare.log begun=$SECONDS
  if is_here "$(built_image "$1")"; then return; fi
  find_libclang
  command -v cmake >/dev/null && command -v make >/dev/null && command -v c++ >/dev/null ||
    install_packages cmake make g++ || die "cmake could not be installed"
  say "compiling the server of $1 (log: $log)"
  context=$logs/$1-context
  rm -rf "$context"
  cp -r "$recipes/$(recipe_of "$1")" "$context"
  # As cheap as can be for the tests that are compiled at the same time.
  nice "$context/prepare" "$(flavour_of "$1")" "$logs/$1-prepare" "$context" >"$log" 2>&1 ||
    log_and_die "$log" "compiling the server of $1 failed"
  say "compiled the server of $1 in $((SECONDS - begun)) s"
  build_base "$(suite_of "$1")"
  build_server "$1" "$context"
}

# For bindgen, which reads the headers of C libraries.
find_libclang() {
  local newest
  newest=$(newest_libclang)
  if [ -z "$newest" ]; then
    install_packages libclang-dev || die "libclang could not be installed"
    newest=$(newest_libclang)
  fi
  export LIBCLANG_PATH=${LIBCLANG_PATH:-$(dirname "$newest")}
}

newest_libclang() { find /usr/lib -path '/usr/lib/llvm-*/lib/libclang.so*' 2>/dev/null | sort -V | tail -n 1; }

# build_server ID CONTEXT
build_server() {
  local image log=$logs/$1.log begun=$SECONDS
  image=$(built_image "$1")
  if is_here "$image"; then return; fi
  say "building $image"
  # The classic builder, for Debian's docker.io comes without the other. The host's network needs no name server of its own.
  DOCKER_BUILDKIT=0 docker build --network host --tag "$image" \
    --build-arg BASE="$(base_image "$(suite_of "$1")")" --build-arg FLAVOUR="$(flavour_of "$1")" \
    "$2" >"$log" 2>&1 || log_and_die "$log" "building $image failed"
  say "built $image in $((SECONDS - begun)) s"
}

build_base() {
  (
    flock 8 # more than one chain may want it
    if ! is_here "$(base_image "$1")"; then debootstrap_base "$1"; fi
  ) 8>"$logs/debian-$1.lock"
}

debootstrap_base() {
  local image root log=$logs/debian-$1.log begun=$SECONDS
  image=$(base_image "$1")
  say "building $image"
  # Not /tmp, which may be small or refuse device files.
  root=$(mktemp -d /var/tmp/golock-debian.XXXXXX)
  {
    as_root debootstrap --variant=minbase "$1" "$root" &&
      as_root sh "$recipes/debian/prepare" "$root" &&
      as_root tar -C "$root" -c . | docker import - "$image"
  } >"$log" 2>&1 || {
    as_root rm -rf --one-file-system "$root"
    log_and_die "$log" "building $image failed"
  }
  as_root rm -rf --one-file-system "$root"
  say "built $image in $((SECONDS - begun)) s"
}

log_and_die() {
  tail -n 30 "$1" >&2
  die "$2; the last lines of $1 are above"
}

for_each() {
  local command=$1 id
  shift
  for id in "$@"; do "$command" "$id"; done
}
