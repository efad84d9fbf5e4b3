#!/bin/sh
# The watchdog: ends one run of a quorum slot when its lease is over, whatever has become of the peer that renews it: it
# may be stopped, slow or dead. It lives in a session of its own and outside of the run's groups. The lease is a file
# with the token and the end, in hundredths of a second of /proc/uptime, which also counts while the machine sleeps; the
# peer replaces it at each renewal and removes it when nothing of the run is left. The braces: as in shim.sh.
#
# usage: watchdog.sh RUN_DIRECTORY NONCE CONTROL_GROUP_OR_EMPTY
{
  D=$1
  N=$2
  G=$3
  P='' S=''
  cd / || exit 1
  # Whether the shim is alive. It writes down who it is before its program begins: its pid, and a time at which it had that pid.
  # Field 22 of stat is the start time: whoever has the pid after it started later.
  lives() {
    [ -n "$S" ] || while read -r W P S; do [ "$W" != shim ] || break; done 2>/dev/null <"$D/told"
    [ -n "$S" ] || return 1
    T=
    read -r T 2>/dev/null <"/proc/$P/stat" || return 1
    set -- ${T##*) }
    case $1 in Z | X) return 1 ;; esac
    [ "${20}" -le "$S" ]
  }
  nap() { sleep "$1" || sleep 1; }
  while :; do
    TOKEN='' END=''
    read -r TOKEN END 2>/dev/null <"$D/lease"
    case $END in
      *[!0-9]* | '')
        # Nothing is left of the run; or its directory was moved away since it was given up, or damaged.
        lives || [ -z "$S" ] || exit 0
        break
        ;;
    esac
    read -r NOW IDLE </proc/uptime
    NOW=${NOW%.*}${NOW#*.}
    # A machine in its first ten seconds: a leading zero would mean octal.
    NOW=${NOW#0}
    LEFT=$((END - ${NOW#0}))
    [ "$LEFT" -gt 0 ] || break
    # Never longer than half a second, for sleeps do not count while the machine is suspended.
    if [ "$LEFT" -ge 50 ]; then
      nap 0.5
    elif [ "$LEFT" -ge 10 ]; then
      nap "0.$LEFT"
    else
      nap "0.0$LEFT"
    fi
  done
  while :; do
    # Before the kill: what has not begun yet looks for this file, and does not begin. Again and again, for the disk may be
    # full; and not with `:`, since a shell ends when a special builtin cannot open a file.
    true 2>/dev/null >"$D/over"
    # In the shim's place, which is killed with its group. Not for what has never begun.
    lives
    [ -z "$S" ] || grep -qs '^exit ' "$D/told" || { echo Killed && echo 'exit 137'; } 2>/dev/null >>"$D/told"
    if [ -n "$G" ]; then
      # Version 2 has a file that kills all; version 1 takes them one by one.
      if [ -e "$G/cgroup.kill" ]; then echo 1 2>/dev/null >"$G/cgroup.kill"; else
        while read -r X; do kill -KILL "$X" 2>/dev/null; done 2>/dev/null <"$G/cgroup.procs"
      fi
      nap 0.02
    fi
    if lives; then kill -KILL "-$P" 2>/dev/null; fi
    # What has left the group carries the nonce.
    F=$(grep -lazs "^TUTTI_NONCE=$N\$" /proc/[0-9]*/environ)
    for X in $F; do
      X=${X#/proc/}
      kill -KILL "${X%/environ}" 2>/dev/null
    done
    [ -n "$F" ] || lives || [ ! -e "$D/over" -a -d "$D" ] || exit 0
    nap 0.05
  done
}
