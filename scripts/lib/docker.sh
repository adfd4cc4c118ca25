# shellcheck shell=bash
# Makes sure that a Docker engine answers: finds, installs or starts one. Sourced, never run; wants common.sh.

# The client may know of an engine by its context that nobody else finds: the tests go by DOCKER_HOST.
docker_answers() {
  docker info >/dev/null 2>&1 || return 1
  [ -n "${DOCKER_HOST:-}" ] ||
    DOCKER_HOST=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) || return 0
  case $DOCKER_HOST in
    unix:///var/run/docker.sock | '') unset DOCKER_HOST ;;
    *) export DOCKER_HOST ;;
  esac
}

start_docker() {
  docker_answers && return
  [ -z "${DOCKER_HOST:-}" ] || die "no Docker engine answers at DOCKER_HOST=$DOCKER_HOST"
  [ "$(uname)" = Linux ] || die "no Docker engine answers: start Docker, then try again"

  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
    install_docker || die "no Docker engine, and none could be installed here: install Docker, then try again"
    # The package may have started it as a service.
    wait_for_docker 5 && return
  fi
  # Running already, but out of this user's reach: `enter_docker_group` is for that.
  as_root docker info >/dev/null 2>&1 && return

  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker || die "systemctl could not start docker"
    as_root docker info >/dev/null 2>&1 || die "docker was started, but does not answer"
  else
    start_dockerd
  fi
}

install_docker() {
  install_packages docker.io iptables || return 1
  # From Debian 13 on the client is a package of its own.
  command -v docker >/dev/null || install_packages docker-cli
}

# Without an init system: in the background of root's own shell, so that it outlives this one.
start_dockerd() {
  local log=$logs/dockerd.log pid group=()
  # The socket for the caller's group: one that is added now would count only from the next login.
  [ "$(id -u)" = 0 ] || group=(--group "$(id -g)")
  mkdir -p "$logs"
  say "starting dockerd (log: $log)"
  # shellcheck disable=SC2016 # expanded by the inner shell
  pid=$(as_root sh -c 'log=$1; shift; setsid nohup dockerd "$@" >"$log" 2>&1 </dev/null & echo $!' sh "$log" "${group[@]}")
  wait_for_docker 60 "$pid" && return
  tail -n 20 "$log" >&2
  die "dockerd did not come up; the last lines of its log are above"
}

# At most $1 seconds, or until the process $2 has ended.
wait_for_docker() {
  local until=$((SECONDS + $1))
  until docker_answers; do
    [ "$SECONDS" -lt "$until" ] || return 1
    [ -z "${2:-}" ] || [ -d "/proc/$2" ] || return 1
    sleep 0.2
  done
}

# Runs the command line again as the same user, with the group that may talk to the engine (Debian's service gives its
# socket to `docker`). The tests speak to the socket themselves, so that sudo for the docker command is not enough.
enter_docker_group() {
  docker_answers && return
  [ -z "${GOLOCK_ENTERED_DOCKER_GROUP:-}" ] || die "the Docker engine runs, but refuses $(id -un)"
  # By their names, for not every sudo keeps all that it is not told of.
  command -v sudo >/dev/null || die "the Docker engine refuses $(id -un), and there is no sudo"
  exec sudo --preserve-env="$(compgen -e | paste -sd , -)" env GOLOCK_ENTERED_DOCKER_GROUP=1 PATH="$PATH" HOME="$HOME" \
    setpriv --reuid "$(id -u)" --regid "$(id -g)" --groups "$(id -G | tr ' ' ,),docker" bash "$@"
}
