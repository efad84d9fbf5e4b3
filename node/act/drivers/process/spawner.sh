#!/bin/sh
# The spawner: one small shell that forks on the peer's behalf. Node.js forks its whole address space, which stops its
# event loop for tens of milliseconds once it is large; this one stays small. It reads requests, one a line, and answers
# each with one line. It ends with its input, that is with the peer; what it started lives on.
{
  # Exit status 3: this system lacks what is needed; the peer then forks by itself.
  setsid -f true 2>/dev/null || exit 3
  command -v mkfifo >/dev/null || exit 3
  # Paths have no wildcards for this shell, and are parted by tabs where there are several.
  set -f
  TAB=$(printf '\t')
  while IFS= read -r LINE; do
    D=${LINE#* }
    case $LINE in
      'prepare '*)
        IFS=$TAB
        mkfifo -m 600 $D
        ;;
      # In the foreground: a background job of a shell ignores SIGINT and SIGQUIT, and so would the instance.
      'launch '*) setsid -f /bin/sh "$D/launch" </dev/null >/dev/null 2>&1 ;;
      *) false ;;
    esac
    echo "$?"
  done
  exit 0
}
