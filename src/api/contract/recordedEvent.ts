import { z } from 'zod'
import { jsonObject, positionToken, revision } from './names.ts'

export const recordedEvent = z
  .strictObject({
    stream: z.string().meta({
      description: 'Whose history it is part of: `operation-{id}`, `pipeline-{name}`, `projection-{name}` or `audit`.',
      examples: ['operation-op-1'],
    }),
    revision,
    position: positionToken,
    id: z.uuid({ error: 'is not a UUID' }).meta({ description: 'Follows from stream, key and place under that key.' }),
    type: z.string().meta({ description: 'What happened.', examples: ['StatusChanged'] }),
    data: jsonObject.meta({ description: 'What happened, in detail, as it was stored.' }),
    metadata: jsonObject.meta({ description: 'Who, when, under which key, and the hash, as it was stored.' }),
  })
  .meta({ id: 'RecordedEvent', description: 'An event as it is stored.' })
