// The question that a release must answer over HTTP before a rollout goes on: asked until it is answered well or the time
// is over, since a first request may meet a cold cache. Decides nothing.

import { request } from 'node:http'
import { messageOf } from '../../lib/errors.ts'

/** Between two tries: short against any timeout, long against a request. */
const PAUSE_MS = 500

/** Null once the URL has answered with a status of 200 to 399; else why not, after `timeoutMs`. */
export const verifyHttp = async (url: string, timeoutMs: number): Promise<string | null> => {
  const deadline = AbortSignal.timeout(timeoutMs)
  let last: string | null = null
  for (;;) {
    const failure = await ask(url, deadline)
    if (failure === null) return null
    // What it answered says more than that the time was over while it was asked again.
    if (deadline.aborted) return last ?? failure
    last = failure
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS)
      deadline.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

const ask = async (url: string, signal: AbortSignal): Promise<string | null> => {
  if (signal.aborted) return 'no answer in time'
  return await new Promise((resolve) => {
    const sent = request(url, { agent: false, signal }, (reply) => {
      reply.resume()
      const status = reply.statusCode ?? 0
      resolve(status >= 200 && status < 400 ? null : `status ${status}`)
    })
    sent.once('error', (thrown) => resolve(signal.aborted ? 'no answer in time' : messageOf(thrown)))
    sent.end()
  })
}
