#!/bin/sh
# The shim: parent of one instance, started as the head of a session of its own. It tells its identity, runs the program
# in the foreground and writes down how it ended, whether or not a peer is there to watch. Deliberately tiny and plain
# POSIX: it lives as long as the instance, and one exists for each. The braces make the shell read all of it before it
# runs any of it, so that an upgrade may replace this file under a running instance.
#
# The prelude runs in the program's own process just before it becomes the program: it joins control groups and sets
# limits, so that nothing of the instance ever runs outside of them, and the shim itself stays outside.
#
# usage: shim.sh RUN_DIRECTORY PRELUDE PROGRAM [ARGUMENT...]
{
  D=$1
  P=$2
  shift 2
  # Held until the end: whoever reads the FIFO sees end-of-file when this process is gone. Opened for both, it never blocks.
  exec 9<>"$D/alive" || exit 125
  # The shell says on its standard error when a signal ended the program; one that exits with 143 leaves this file empty.
  exec 8>&2 2>"$D/signal" || exit 125
  # Handlers, not '' (the program would inherit "ignore"): a signal to the group is the program's to answer.
  trap 'S=129' HUP
  trap 'S=130' INT
  trap 'S=131' QUIT
  trap 'S=138' USR1
  trap 'S=140' USR2
  trap 'S=143' TERM
  S=
  # Field 22 of stat is the start time; with the pid and the boot it names a process for good. No fork is spent on it.
  read -r T <"/proc/$$/stat" || exit 125
  T=${T##*) }
  N=3
  while [ "$N" -lt 22 ]; do
    T=${T#* }
    N=$((N + 1))
  done
  T=${T%% *}
  # Before the program: a peer that moved this directory away has given the run up, and nothing may start then.
  echo "$$ $T" >"$D/pid" || exit 125
  echo "$$ $T" >&9
  # A service manager may protect the peer from the kernel's memory killer (OOMScoreAdjust=); an instance is not to inherit it.
  read -r O </proc/self/oom_score_adj 2>/dev/null || O=0
  case $O in -*) echo 0 2>/dev/null >/proc/self/oom_score_adj ;; esac
  # A stop that came before the program was there is obeyed without it.
  if [ -n "$S" ]; then
    echo "$S" >"$D/exit"
    exit 0
  fi
  # From `up` on a signal meets the program or this copy of the shell, which has no handlers; before, it may be lost.
  (: >"$D/up" && eval "$P" && exec "$@" || exit 125) 2>&8 8>&- 9<&-
  R=$?
  echo "$R" >"$D/exit"
  exit 0
}
