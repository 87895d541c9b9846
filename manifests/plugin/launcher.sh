#!/bin/sh
# Runs kubectl purelb from an environment of its own, which is made the first time: that takes Python 3.11 or newer and a
# package index, and no cluster. What it is called by says what it is for: krew links it as kubectl-purelb.
set -eu
here=$(dirname "$(readlink -f "$0")")
home=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-purelb/$(cat "$here/version")
case $(basename "$0") in
  kubectl_complete-*) module=kubectl_purelb.completing ;;
  *) module=kubectl_purelb ;;
esac

is_new_enough() { "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ ! -x "$home/bin/python" ]; then
  # Somebody who has pressed a key doesn't wait for that.
  if [ "$module" = kubectl_purelb.completing ]; then
    echo :4
    exit 0
  fi
  python=
  for one in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if is_new_enough "$one"; then
      python=$one
      break
    fi
  done
  if [ -z "$python" ]; then
    echo "kubectl purelb: it needs Python 3.11 or newer, with venv; PYTHON may name it" >&2
    exit 2
  fi
  echo "kubectl purelb: setting up $home, this once ..." >&2
  made=$home.$$
  trap 'rm -rf "$made"' EXIT
  trap 'exit 2' HUP INT TERM # else a plain shell ends without that
  mkdir -p "$(dirname "$home")"
  rm -rf "$home"
  # By the name that tells its version: once an upgrade has taken that away, the environment is seen to be of no use. A
  # python3 that has become another one wouldn't find what was installed for the one before.
  python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
  if ! { "$python" -m venv "$made" &&
    "$made/bin/python" -m pip install --quiet --disable-pip-version-check -c "$here/constraints.txt" "$here"/*.whl; } >&2; then
    echo "kubectl purelb: it could not be set up: see above" >&2
    exit 2
  fi
  # Whoever was first has made the same.
  [ -e "$home" ] || mv "$made" "$home"
  # What other versions had; what is being made of this one is somebody else's.
  for one in "${home%/*}"/*; do
    case $one in
      "$home" | "$home".*) ;;
      *) rm -rf "$one" ;;
    esac
  done
  trap - EXIT HUP INT TERM
  rm -rf "$made"
fi
exec "$home/bin/python" -m "$module" "$@"
