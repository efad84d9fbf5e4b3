// Limits of a process as the kernel tells them, in the words of /proc/PID/limits (proc_pid_limits(5)).

/** The hard limit of that name, such as `Max open files`; null: there is none, or the text does not say. */
export const hardLimit = (limits: string, name: string): number | null => {
  const line = limits.split('\n').find((each) => each.startsWith(name))
  const hard = line?.slice(name.length).trim().split(/\s+/)[1] ?? ''
  return /^\d+$/.test(hard) ? Number(hard) : null
}
