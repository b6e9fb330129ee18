#!/bin/sh
# Sets up what is missing: Debian packages, npm packages, the addon with its BPF objects, the bundles.
# Does nothing, quickly, when nothing is missing. With --test also what only tests need.
set -eu
cd "$(dirname "$0")"

tests=no
[ "${1:-}" = --test ] && tests=yes
stamps=node_modules/.setup

# Runs a step quietly; a failure shows the end of its log and what to do.
step() {
  what=$1
  shift
  echo "setup: $what"
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    echo "setup: $what failed (above); mend that and run the same command again" >&2
    exit 1
  fi
  rm -f "$log"
}

debian_packages() {
  packages="clang-16 llvm-16 bpftool libbpf-dev libelf-dev libzstd-dev libre2-dev zlib1g-dev g++ make pkg-config python3"
  [ $tests = yes ] && packages="$packages python3-venv clang-format-16 libclang-rt-16-dev iproute2 libc6-dev nats-server openssl"
  missing=
  for package in $packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing="$missing $package"
  done
  [ -z "$missing" ] && return
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: this is not a Debian system; install what corresponds to:$missing" >&2
    exit 1
  fi
  as_root=
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "setup: not root, and packages are missing: as root run apt-get install$missing" >&2
      exit 1
    fi
    as_root=sudo
  fi
  step "reading the package lists" $as_root apt-get update -q
  step "installing Debian packages:$missing" $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $missing
}

# The dpkg database changes when packages do: only then is each package asked for again.
check_debian_packages() {
  if [ -e /var/lib/dpkg/status ] && [ "$stamps/debian-$tests" -nt /var/lib/dpkg/status ]; then return; fi
  if command -v dpkg-query >/dev/null 2>&1; then
    debian_packages
  else
    for tool in clang bpftool g++ make python3; do
      command -v $tool >/dev/null 2>&1 || missing_tools="${missing_tools:-} $tool"
    done
    if [ -n "${missing_tools:-}" ]; then
      echo "setup: install these first:$missing_tools, and the headers of libbpf, libelf and zlib" >&2
      exit 1
    fi
  fi
}

# The addon and zstd-napi use only N-API, whose headers any Node brings: those beside a Node on this
# machine are as good as the ones that node-gyp would download. Every Node on PATH is looked at, for
# npm puts the project's own first, and that one comes without headers.
use_local_headers() {
  [ -z "${npm_config_nodedir:-}" ] || return 0
  old_ifs=$IFS
  IFS=:
  for directory in $PATH; do
    [ -x "$directory/node" ] || continue
    prefix=$(dirname "$(dirname "$(readlink -f "$directory/node")")")
    if [ -e "$prefix/include/node/node_api.h" ]; then
      export npm_config_nodedir="$prefix"
      break
    fi
  done
  IFS=$old_ifs
}

npm_packages() {
  if [ "$stamps/npm" -nt package-lock.json ]; then return; fi
  step "installing npm packages" npm ci --no-audit --no-fund
  mkdir -p $stamps
  touch $stamps/npm
}

# Folders count too: their time tells of a file that was removed.
newer_than() {
  stamp=$1
  shift
  [ ! -e "$stamp" ] || [ -n "$(find "$@" -newer "$stamp" -print -quit)" ]
}

# A stamp bears the time at which its step began: what is edited meanwhile is built the next time.
stamped_step() {
  stamp=$1
  shift
  touch "$stamp.begun"
  step "$@"
  mv "$stamp.begun" "$stamp"
}

mount_kernel_filesystems() {
  [ "$(id -u)" = 0 ] || return 0
  [ -e /sys/kernel/tracing/events ] || mount -t tracefs none /sys/kernel/tracing 2>/dev/null || true
  mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf 2>/dev/null || true
}

check_debian_packages
use_local_headers
npm_packages
mkdir -p $stamps
touch "$stamps/debian-$tests"
# Debian keeps bpftool where only root looks.
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

if newer_than $stamps/native binding.gyp bpf native schemas/generated ||
  [ ! -e build/Release/tapio_native.node ]; then
  stamped_step $stamps/native "building the addon and the BPF programs" npm run build:native
fi
if newer_than $stamps/bundle src cli schemas package.json || [ ! -e dist/tapio-record.js ]; then
  stamped_step $stamps/bundle "bundling" npm run build:bundle
fi
if [ $tests = yes ] && newer_than .venv/.setup test/interop/requirements.txt; then
  step "making the Python environment for the tests" sh -c \
    'python3 -m venv .venv && .venv/bin/pip install -q -r test/interop/requirements.txt && touch .venv/.setup'
fi
mount_kernel_filesystems
