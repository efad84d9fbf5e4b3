#!/bin/sh
# The shim: parent of one instance, started as the head of a session of its own. It tells its identity, runs the program
# in the foreground and writes down how it ended, whether or not a peer is there to watch. Deliberately tiny and plain
# POSIX: it lives as long as the instance, and one exists for each. The braces make the shell read all of it before it
# runs any of it, so that an upgrade may replace this file under a running instance.
#
# The shim joins the instance's control groups itself, so that the program is born there and nothing of the instance ever
# runs outside of them: moving a process makes the kernel wait for all its cores, tens of milliseconds, and this way no later
# run of this shim's line waits for it (heirs.ts). The prelude runs in the program's own process just before it becomes the
# program: it sets what the shim itself must not be held to.
#
# Its variables have names that no instance's environment has: it would change them there, too.
#
# usage: shim.sh RUN_DIRECTORY JOINS PRELUDE PROGRAM [ARGUMENT...]
{
  tutti_run=$1
  tutti_joins=$2
  tutti_prelude=$3
  shift 3
  # Held until the end: whoever reads the FIFO sees end-of-file when this process is gone. Opened for both, it never blocks.
  exec 9<>"$tutti_run/alive" || exit 125
  # What there is to tell (told.ts), and the shell's own words: it says on its standard error when a signal ended the program,
  # and nothing of one that exits with 143. Made by its path: a peer that moved this directory away has given the run up.
  exec 8>&2 2>>"$tutti_run/told" || exit 125
  # Handlers, not '' (the program would inherit "ignore"): a signal to the group is the program's to answer.
  trap 'tutti_signal=129' HUP
  trap 'tutti_signal=130' INT
  trap 'tutti_signal=131' QUIT
  trap 'tutti_signal=138' USR1
  trap 'tutti_signal=140' USR2
  trap 'tutti_signal=143' TERM
  tutti_signal=
  # A time at which this process has its pid, in hundredths of a second; with the pid and the boot it names a process for good.
  # No fork is spent on it. Where the uptime is of another clock (shim-time.ts) it is field 22 of stat, the start time.
  if [ "$tutti_time" != stat ]; then
    read -r tutti_ticks tutti_rest </proc/uptime || exit 125
    tutti_ticks=${tutti_ticks%.*}${tutti_ticks#*.}
  else
    read -r tutti_ticks <"/proc/$$/stat" || exit 125
    tutti_ticks=${tutti_ticks##*) }
    tutti_field=3
    while [ "$tutti_field" -lt 22 ]; do
      tutti_ticks=${tutti_ticks#* }
      tutti_field=$((tutti_field + 1))
    done
    tutti_ticks=${tutti_ticks%% *}
  fi
  unset tutti_time
  echo "shim $$ $tutti_ticks" >&2 || exit 125
  echo "$$ $tutti_ticks" >&9
  # A service manager may protect the peer from the kernel's memory killer (OOMScoreAdjust=); an instance is not to inherit it.
  read -r tutti_oom </proc/self/oom_score_adj 2>/dev/null || tutti_oom=0
  case $tutti_oom in -*) echo 0 2>/dev/null >/proc/self/oom_score_adj ;; esac
  # A group that is gone was given up by the peer, and so was the run.
  if ! eval "$tutti_joins"; then
    echo 'exit 125' >&2
    exit 125
  fi
  # A stop that came before the program was there is obeyed without it.
  if [ -n "$tutti_signal" ]; then
    echo "exit $tutti_signal" >&2
    exit 0
  fi
  # From `up` on a signal meets the program or this copy of the shell, which has no handlers; before, it may be lost. By its
  # path once more: nothing may start in a run that has been given up meanwhile.
  (echo up >>"$tutti_run/told" && eval "$tutti_prelude" && exec "$@" || exit 125) 2>&8 8>&- 9<&-
  tutti_status=$?
  echo "exit $tutti_status" >&2
  # What a peer left for this moment: a successor, which this process becomes if all is as it must be (heirs.ts).
  [ ! -f "$tutti_run/heir" ] || . "$tutti_run/heir"
  exit 0
}
