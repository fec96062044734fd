import { z } from 'zod'
import { pipelineName, positionToken, trackName } from './names.ts'
import { visibility } from './paging.ts'

const count = z.int().min(0)

export const statsQuery = z.strictObject(visibility)

export const stats = z
  .strictObject({
    pipelines: z.record(
      pipelineName,
      z.strictObject({
        operations: count,
        states: z.record(z.string(), count),
        tracks: z.record(trackName, z.record(z.string(), count)),
      }),
    ),
    position: positionToken.meta({ description: 'Up to where the read model is folded.' }),
    head: positionToken.meta({ description: "The log's last position." }),
    lagMs: z.number().min(0),
    parked: count.meta({ description: 'Operations whose stream could not be folded.' }),
  })
  .meta({ id: 'Stats' })

export const alive = z.strictObject({ status: z.literal('alive') }).meta({ id: 'Alive' })

export const readinessQuery = z.strictObject({
  verbose: z.enum(['', 'true', '1']).exactOptional().meta({ description: 'Also lists the checks.' }),
})

export const readinessCheck = z.strictObject({
  name: z.string(),
  ok: z.boolean(),
  advisory: z.literal(true).exactOptional().meta({ description: 'It is shown, and does not count: ready without it.' }),
  detail: z.string(),
})

export const ready = z
  .strictObject({ status: z.literal('ready'), checks: z.array(readinessCheck).exactOptional() })
  .meta({ id: 'Ready' })
