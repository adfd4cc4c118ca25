# shellcheck shell=bash
# Finds an image for each test server: the user's, the public one, or one built here. Sourced, never run; wants common.sh
# and servers.sh.

first_answer_within=20 # seconds for a registry to say anything at all
pull_within=600        # seconds for one image, once it has

# Prints `export GOLOCK_TEST_X_IMAGE=…` for every server that is given.
ensure_images() {
  local id image missing=()
  for id in "$@"; do
    image=$(local_image "$id")
    if [ -n "$image" ]; then
      print_export "$id" "$image"
    else
      missing+=("$id")
    fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  mkdir -p "$logs"
  # Asked once for all: when the first image can't be reached, no other is tried.
  local to_build=() registry_answers=yes
  for id in "${missing[@]}"; do
    image=$(public_image "$id")
    if [ $registry_answers = yes ] && pull "$image"; then
      print_export "$id" "$image"
    else
      to_build+=("$id")
    fi
  done
  [ ${#to_build[@]} -gt 0 ] || return 0

  build_images "${to_build[@]}"
  for id in "${to_build[@]}"; do print_export "$id" "$(built_image "$id")"; done
}

# The image that needs no work: named by the user, pulled before, or built before. Nothing when there is none.
local_image() {
  local named public built
  named=$(value_of "$(image_variable "$1")")
  if [ -n "$named" ]; then
    echo "$named"
    return
  fi
  public=$(public_image "$1")
  if is_here "$public"; then
    echo "$public"
    return
  fi
  can_build || return 0
  built=$(built_image "$1")
  if is_here "$built"; then echo "$built"; fi
}

# `docker pull` says its first line when the registry has answered: a slow download is no reason to give up, silence is.
# Sets registry_answers=no when there was nothing but silence.
pull() {
  local log=$logs/pull-$$ pid begun=$SECONDS waited
  say "pulling $1"
  docker pull "$1" >"$log.out" 2>"$log.err" </dev/null &
  pid=$!
  while kill -0 $pid 2>/dev/null; do
    waited=$((SECONDS - begun))
    if [ $waited -ge $pull_within ] || { [ $waited -ge $first_answer_within ] && [ ! -s "$log.out" ]; }; then
      kill $pid 2>/dev/null || true
    fi
    sleep 0.1
  done
  local pulled=yes
  if ! wait $pid; then
    pulled=no
    [ -s "$log.out" ] || registry_answers=no
    say "could not pull $1: $(grep . "$log.err" || echo "no answer within $first_answer_within s")"
  fi
  rm -f "$log.out" "$log.err"
  [ $pulled = yes ]
}

is_here() { docker image inspect "$1" >/dev/null 2>&1; }

value_of() { printenv "$1" || true; }

print_export() { printf 'export %s=%q\n' "$(image_variable "$1")" "$2"; }
