// The routes of examinations. The first is slow for a read (seconds, since it tries every link), hence with a deadline of its own.

import type { FastifyInstance } from 'fastify'
import { TuttiError } from '../../../../lib/errors.ts'
import { ROUTES } from '../contract.ts'
import { DoctorQuery, DoctorReply, JournalReply } from '../contract-doctor.ts'
import type { ApiContext } from '../context.ts'
import { EXAMINE_MS, inTime } from '../deadline.ts'
import { described } from '../described.ts'

export const doctorRoutes = (app: FastifyInstance, context: ApiContext): void => {
  app.get<{ Querystring: DoctorQuery }>(
    ROUTES.doctor,
    {
      schema: described({
        summary: 'What is wrong with this machine and the cluster, and what to do about it',
        description:
          'Examines this machine, asks every living member to try every other, and measures their clocks. Takes seconds. With `all`, the machines of all members.',
        tag: 'reads',
        querystring: DoctorQuery,
        reply: DoctorReply,
      }),
    },
    ({ query }) => {
      const { doctor } = context
      if (doctor === null) throw new TuttiError('unsupported', 'this peer was built without an examiner')
      return inTime(doctor.reply(context.reading(), query.all === true), EXAMINE_MS)
    },
  )
  app.get(
    ROUTES.journal,
    {
      schema: described({
        summary: 'The last passes of this peer, to be played again',
        description:
          'What went into the last passes and what each decided: a thousand passes at most, from memory. Holds the environment of services.',
        tag: 'reads',
        reply: JournalReply,
      }),
    },
    () => ({ lines: [...context.agent.journal()] }),
  )
}
