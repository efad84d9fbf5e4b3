#!/bin/sh
# The forker: one small shell that runs the commands of probes on the peer's behalf, many at a time, so that the peer
# itself, which may be large, never forks for them. Each line of input is an id, a directory, and the words of `env -i`,
# quoted for a shell; the answers are "ID p PID" and then "ID STATUS". It ends with its input, that is with the peer.
{
  # Exit status 3: this system lacks what is needed; the peer then forks by itself.
  setsid true 2>/dev/null || exit 3
  # A service manager may protect the peer from the kernel's memory killer (OOMScoreAdjust=); a probe is not to inherit it.
  read -r OOM </proc/self/oom_score_adj 2>/dev/null || OOM=0
  case $OOM in -*) echo 0 2>/dev/null >/proc/self/oom_score_adj ;; esac
  # A line break within a word.
  N='
'
  probe() {
    I=$1
    cd "$2" 2>/dev/null || {
      echo "$I 126"
      return
    }
    shift 2
    # A session of its own, so that a probe that is late can be ended with all that it started.
    setsid env -i "$@" </dev/null >/dev/null 2>&1 &
    echo "$I p $!"
    wait "$!"
    echo "$I $?"
  }
  while IFS= read -r LINE; do
    eval "probe $LINE" &
    # Reaps those that are done: dash keeps them until somebody asks.
    jobs >/dev/null
  done
  exit 0
}
