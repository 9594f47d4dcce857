#!/usr/bin/env bash
# Sees to it that the commands named as arguments are there; installs what is missing by apt, and says so.
#   scripts/need-system.sh cargo cc nasm venv
# `venv` stands for Python's module of that name. Without a way to install, one line says what is missing.
set -euo pipefail

package_of() {
  case $1 in
    cc) echo gcc libc6-dev ;;
    c++) echo g++ ;;
    venv) echo python3-venv ;;
    readelf) echo binutils ;;
    *) echo "$1" ;;
  esac
}

is_there() {
  case $1 in
    venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

fail() {
  echo "error: $*" >&2
  exit 1
}

missing=()
for name in "$@"; do
  is_there "$name" && continue
  [ "$name" = cargo ] && fail "cargo is missing: install Rust 1.95 or newer, https://rustup.rs"
  read -ra packages <<<"$(package_of "$name")"
  missing+=("${packages[@]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

command -v apt-get >/dev/null || fail "missing: ${missing[*]}; install with your system's package manager, then run make again"
sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
  sudo=(sudo)
fi
echo "== installing by apt-get: ${missing[*]}"
"${sudo[@]}" apt-get update -qq || echo "warning: apt-get update failed, trying with the lists at hand" >&2
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
  fail "apt-get could not install ${missing[*]}; install them by hand, then run make again"
for name in "$@"; do
  is_there "$name" || fail "$name is still missing after installing ${missing[*]}"
done
