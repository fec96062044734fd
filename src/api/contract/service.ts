import { z } from 'zod'
import { pipelineName, positionToken, timestamp, trackName } from './names.ts'
import { visibility } from './paging.ts'

const count = z.int().min(0)

export const statsQuery = z.strictObject(visibility)

export const stats = z
  .strictObject({
    pipelines: z
      .record(
        pipelineName,
        z.strictObject({
          operations: count.meta({ description: 'How many there are.' }),
          states: z.record(z.string(), count).meta({ description: 'How many are in each state.' }),
          tracks: z.record(trackName, z.record(z.string(), count)).meta({
            description:
              'By track, how many stand in each status. Of pipeline `any`, the first 1,000 statuses in the order of the log are counted by name, and the rest together as `other`.',
          }),
        }),
      )
      .meta({ description: 'By pipeline, how its operations stand.' }),
    position: positionToken.meta({ description: 'Up to where the read model is folded.' }),
    head: positionToken.meta({ description: "The log's last position." }),
    headReadAt: timestamp.nullable().exactOptional().meta({
      description:
        'Only while the log does not answer: when `head` was last read from it. Null: not by this process, and `head` is `position`.',
    }),
    lagMs: z.number().min(0).meta({ description: 'Age in ms of the oldest event that is not folded yet.' }),
    parked: count.meta({ description: 'Operations whose stream could not be folded.' }),
  })
  .meta({ id: 'Stats', description: 'Counts of operations, and how far the read model is.' })

export const alive = z
  .strictObject({ status: z.literal('alive').meta({ description: 'It answers.' }) })
  .meta({ id: 'Alive', description: 'The process answers.' })

export const readinessQuery = z.strictObject({
  verbose: z
    .enum(['', 'true', '1'])
    .exactOptional()
    .meta({ description: 'Also lists the checks; what each found is told to who may read.' }),
})

export const readinessCheck = z.strictObject({
  name: z.string().meta({ description: 'What was looked at.' }),
  ok: z.boolean().meta({ description: 'Whether it is as it should be.' }),
  advisory: z.literal(true).exactOptional().meta({ description: 'It is shown, and does not count: ready without it.' }),
  detail: z
    .string()
    .exactOptional()
    .meta({ description: 'For a person who may read: sent with a key of the role `viewer`.' }),
})

export const ready = z
  .strictObject({
    status: z.literal('ready').meta({ description: 'It takes requests.' }),
    checks: z.array(readinessCheck).exactOptional().meta({ description: 'With `verbose`: what was looked at.' }),
  })
  .meta({ id: 'Ready', description: 'The node takes requests.' })
