#!/usr/bin/env bash
# Makes sure that a container engine answers, and says what it did for that. Does nothing when one answers already.
#   ENGINE_STATE_DIR=dir   where dockerd's log and process id go (default: .engine)
# As root on Debian or Ubuntu it installs docker.io and iptables when they are missing. Everywhere else it only
# says what is needed: installing software on somebody's own machine is not this script's business.
set -euo pipefail

state=${ENGINE_STATE_DIR:-.engine}
say() { echo "engine: $*"; }
die() { echo "engine: $*" >&2; exit 1; }
answers() { docker info >/dev/null 2>&1; }
version() { docker info --format '{{.ServerVersion}} ({{.Driver}})'; }

if command -v docker >/dev/null && answers; then
  say "$(version) already answers"
  exit 0
fi
[ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is '$DOCKER_HOST', but no engine answers there"
[ "$(id -u)" = 0 ] || die "no container engine answers, and starting one needs root: start Docker, or set DOCKER_HOST"

if ! command -v dockerd >/dev/null || ! command -v iptables >/dev/null; then
  command -v apt-get >/dev/null || die "no dockerd here, and no apt-get to install it with: install a container engine"
  say "installing docker.io and iptables with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  # A machine without systemd refuses to start the service at installation; that is expected, we start it below.
  apt-get -qq install -y --no-install-recommends docker.io iptables >/dev/null 2>&1 ||
    die "apt-get could not install docker.io and iptables"
  hash -r
fi

if [ -d /run/systemd/system ]; then
  systemctl start docker || die "systemctl could not start docker"
  answers || die "docker.service runs, but does not answer"
  say "$(version) started by systemd"
  exit 0
fi

mkdir -p "$state"
state=$(cd "$state" && pwd)
# A process id file that outlived its dockerd (kill -9, a copied machine) keeps the next one from starting.
if [ -f /var/run/docker.pid ] && ! kill -0 "$(cat /var/run/docker.pid)" 2>/dev/null; then rm -f /var/run/docker.pid; fi

# start_dockerd FLAGS...: succeeds when the engine answers within 30 s. setsid and nohup: it outlives this shell.
start_dockerd() {
  setsid nohup dockerd "$@" >"$state/dockerd.log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid" >"$state/dockerd.pid"
  for _ in $(seq 1 120); do
    answers && return 0
    kill -0 "$pid" 2>/dev/null || return 1
    sleep 0.25
  done
  kill "$pid" 2>/dev/null || true
  return 1
}

start_dockerd || start_dockerd --storage-driver=vfs || {
  tail -n 15 "$state/dockerd.log" >&2
  die "dockerd did not come up; the last lines of $state/dockerd.log stand above"
}
say "$(version) started, process $(cat "$state/dockerd.pid"), log $state/dockerd.log"
