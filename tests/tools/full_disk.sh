#!/usr/bin/env bash
# full_disk.sh FOLDER PROGRAM: runs PROGRAM on a disk of its own, mounted at FOLDER for its eyes only, and does what its
# standard input says, a word a line:
#
#   start   start PROGRAM, with FOLDER/data for its data; its log is this script's output
#   kill    kill -9
#   stop    SIGTERM, and wait
#   fill    leave no byte free
#   free    make room again
#
# Each is answered by "done" on descriptor 3. Root makes that with a mount namespace, anybody else with a user namespace
# around it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin

if [[ $1 != --inside ]]; then
  for tool in unshare mount; do
    command -v "$tool" >/dev/null || { echo "full_disk.sh needs $tool, of util-linux." >&2; exit 90; }
  done
  as_root=()
  ((EUID == 0)) || as_root=(--user --map-root-user)
  exec unshare "${as_root[@]}" --mount --propagation private -- "$BASH" "$0" --inside "$@"
fi

folder=$2 program=$3
mount -t tmpfs -o size=8m tmpfs "$folder"
export DATA_DIR=$folder/data
running=
trap '[[ -z $running ]] || kill -9 "$running" 2>/dev/null' EXIT
while read -r word; do
  case $word in
    start) "$program" 3>&- </dev/null & running=$! ;;
    kill) kill -9 "$running"; wait "$running" || true ;;
    stop) kill -TERM "$running"; wait "$running" ;;
    fill) head -c 100M /dev/zero >>"$folder/fill" 2>/dev/null || true ;;
    free) rm "$folder/fill" ;;
  esac
  echo done >&3
done
