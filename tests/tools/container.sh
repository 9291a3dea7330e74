#!/usr/bin/env bash
# container.sh ROOT DATA HOSTS [FILE NAME]... -- COMMAND...: runs COMMAND as docker-compose.yml has it run, without docker.
#
# The file system is read-only and holds the system's programs, each FILE as /usr/local/bin/NAME, and HOSTS as /etc/hosts.
# /tmp is empty and in memory, /data is the folder DATA. The user is 10001, without capabilities and without a way to get
# any. ROOT is an empty folder to build this on; it stays empty, because the mounts are seen by COMMAND only.
#
# Root makes that with a mount namespace, anybody else with a user namespace around it. COMMAND gets this process.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin:/usr/bin:/bin
user=10001

if [[ $1 != --inside ]]; then
  for tool in unshare setpriv mount pivot_root; do
    command -v "$tool" >/dev/null || { echo "container.sh needs $tool, of util-linux." >&2; exit 90; }
  done
  as_root=()
  ((EUID == 0)) || as_root=(--user --map-root-user)
  unshare "${as_root[@]}" --mount true || { echo "container.sh may make no namespaces here: as root it needs \
CAP_SYS_ADMIN, as another user kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0." >&2; exit 91; }
  exec unshare "${as_root[@]}" --mount --propagation private -- "$BASH" "$0" --inside "$EUID" "$@"
fi

outside=$2 root=$3 data=$4 hosts=$5
shift 5
mount -t tmpfs -o mode=0755 tmpfs "$root"
mkdir "$root"/{etc,dev,proc,tmp,data}

# What an image has of its system. A link (/bin, often) stays one.
for top in /usr /bin /sbin /lib /lib32 /lib64 /nix /gnu /etc/ssl; do
  if [[ -L $top ]]; then
    cp -P "$top" "$root$top"
  elif [[ -d $top ]]; then
    mkdir "$root$top"
    mount --rbind "$top" "$root$top"
  fi
done
[[ ! -e /etc/ld.so.cache ]] || cp /etc/ld.so.cache "$root/etc/"
cp "$hosts" "$root/etc/hosts"
echo 'hosts: files' >"$root/etc/nsswitch.conf"
mount -t tmpfs -o mode=0755 tmpfs "$root/usr/local/bin"
while [[ $1 != -- ]]; do
  touch "$root/usr/local/bin/$2"
  mount --bind "$1" "$root/usr/local/bin/$2"
  shift 2
done
shift
for device in null zero full random urandom; do
  touch "$root/dev/$device"
done

# Every mount so far becomes read-only, those below /usr too.
while read -r _ _ _ _ at _; do
  at=$(printf '%b' "$at") # a space is \040
  [[ $at != "$root" && $at != "$root"/* ]] || mount -o remount,bind,ro,nosuid,nodev "$at"
done </proc/self/mountinfo

for device in null zero full random urandom; do
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount --rbind /proc "$root/proc"
# Below, a user namespace is set up through /proc; who needs one can write nothing else there.
((outside)) || mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount --bind "$data" "$root/data"

cd "$root"
pivot_root . .
umount -l . # the old root, which lies on the new one now
cd /data

bare=(setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs)
if ((outside == 0)); then
  chown "$user:$user" /data
  exec "${bare[@]}" --reuid="$user" --regid="$user" --clear-groups -- "$@"
fi
# The capabilities are kept for setpriv to take them away with the bounding set.
exec unshare --user --map-user="$user" --map-group="$user" --keep-caps -- "${bare[@]}" -- "$@"
