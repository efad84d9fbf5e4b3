# The spawner's first words: one small shell that forks on the peer's behalf. Node.js forks its whole address space, which
# stops its event loop for tens of milliseconds once it is large; this one stays small. Afterwards its input is its script:
# the peer writes commands and gets a line with the status of each (spawner.ts). A shell reads its script in blocks, where
# `read` would take one system call for each byte. It ends with its input, that is with the peer; what it started lives on.
#
# Exit status 3: this system lacks what is needed; the peer then forks by itself.
setsid -f true 2>/dev/null || exit 3
command -v mkfifo >/dev/null || exit 3
# Goes before the shim in a launch script. By its whole path, since a script has left the spawner's PATH behind by then.
TUTTI_SESSION="$(command -v setsid) -f"
