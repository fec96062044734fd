import { z } from 'zod'
import { jsonObject, positionToken, revision } from './names.ts'

export const recordedEvent = z
  .strictObject({
    stream: z.string().meta({ examples: ['operation-op-1'] }),
    revision,
    position: positionToken,
    id: z.uuid({ error: 'is not a UUID' }),
    type: z.string().meta({ examples: ['StatusChanged'] }),
    data: jsonObject,
    metadata: jsonObject,
  })
  .meta({ id: 'RecordedEvent', description: 'An event as it is stored.' })
