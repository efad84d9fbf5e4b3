// What opens an exec: the first message on its WebSocket, checked by the API. Apart from contract.ts, since only `exec`
// needs it; what follows it is in exec-wire.ts.

import { Type, type Static } from 'typebox'

const strict = { additionalProperties: false } as const
const Text = Type.String()

/** The first message on `GET /v1/exec`; the rest is exec-wire.ts. */
export const ExecOpening = Type.Object(
  {
    /** `CELL/SERVICE`, or one slot of it. */
    of: Type.String({ maxLength: 200 }),
    command: Type.Array(Text, { minItems: 1, maxItems: 1024 }),
    /** In addition to the instance's own, and stronger. */
    environment: Type.Optional(Type.Record(Type.String({ pattern: '^[^=]+$' }), Text)),
    /** Relative to the instance's working directory. */
    workingDir: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    /** Left out: no terminal. */
    terminal: Type.Optional(
      Type.Object(
        {
          columns: Type.Integer({ minimum: 1, maximum: 65_535 }),
          rows: Type.Integer({ minimum: 1, maximum: 65_535 }),
        },
        strict,
      ),
    ),
  },
  strict,
)
export type ExecOpening = Static<typeof ExecOpening>
