// The environment variables by which the processes of releases are found again after a crash: the command line sets them,
// and a peer that starts looks for those of its own builds. Values are directories; nothing else is promised of them.

/** Of every command of a release: the release's own directory. */
export const RELEASE_MARK = 'TUTTI_RELEASE_DIRECTORY'
/** Of a release that a peer began for a build duty: the duty's folder. */
export const DUTY_MARK = 'TUTTI_BUILD_DUTY'
