#!/bin/sh
# Makes a machine out of the namespaces that it is started in, and becomes its systemd: a /dev, a /run and groups of its
# own, an /etc/systemd and a /var that lie on its disk and outlast it, and nothing of the host's that could be written.
# It runs as root of the host, in its groups already (systemd-bed.ts).
#
# usage: systemd-bed.sh DISK GROUP LAYOUT HIERARCHY...    each as it is mounted on the host
{
  set -e
  disk=$1 group=$2 layout=$3
  shift 3
  new=$disk/new
  mkdir -p "$new"

  mount -t tmpfs -o mode=755 tmpfs "$new"
  for name in null zero full random urandom tty; do
    : >"$new/$name"
    mount --bind "/dev/$name" "$new/$name"
  done
  # What it would tell the kernel's log.
  : >"$new/kmsg"
  mount --bind /dev/null "$new/kmsg"
  mkdir "$new/pts" "$new/shm"
  mount --bind /dev/pts "$new/pts"
  mount -t tmpfs tmpfs "$new/shm"
  ln -s pts/ptmx "$new/ptmx"
  ln -s /proc/self/fd "$new/fd"
  for name in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${name#*:}" "$new/${name%:*}"; done
  mount --move "$new" /dev

  # Binds, not mounts: options of a group file system are the whole machine's, and stay as they are.
  if [ "$layout" = unified ]; then
    mount --bind "$1/$group" "$new"
  else
    mount -t tmpfs -o mode=755 tmpfs "$new"
    for hierarchy in "$@"; do
      mkdir "$new/${hierarchy##*/}"
      mount --bind "$hierarchy/$group" "$new/${hierarchy##*/}"
      # `cpu,cpuacct` is found by either name.
      for name in $(echo "${hierarchy##*/}" | tr , ' '); do
        [ -e "$new/$name" ] || ln -s "${hierarchy##*/}" "$new/$name"
      done
    done
  fi
  umount --recursive --lazy /sys/fs/cgroup
  mount -o remount,bind,ro /sys
  mount --move "$new" /sys/fs/cgroup

  # Others' mounts below /run would be kept alive.
  umount --recursive --lazy /run 2>/dev/null || :
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir /run/lock
  mount --bind "$disk/etc-systemd" /etc/systemd
  mount --bind "$disk/var" /var
  # Without one systemd would write it, into the host's.
  [ -s "$disk/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$disk/machine-id"
  [ ! -e /etc/machine-id ] || mount --bind "$disk/machine-id" /etc/machine-id

  # Settings of the kernel are the host's. The boot is not.
  mount --bind /proc/sys /proc/sys
  mount -o remount,bind,ro /proc/sys
  cat /proc/sys/kernel/random/uuid >/run/boot-id
  mount --bind /run/boot-id /proc/sys/kernel/random/boot_id

  # That it is in a container keeps it from the hardware, and from mounting anything anew. No units but the disk's.
  exec env -i container=tutti PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    SYSTEMD_UNIT_PATH="/etc/systemd/system:$disk/units" SYSTEMD_GENERATOR_PATH="$disk/none" "$(command -v systemd || echo /lib/systemd/systemd)" --system
}
