import { z } from 'zod'
import { problemCodes } from '../problem.ts'
import { revision } from './names.ts'
import { recordedEvent } from './recordedEvent.ts'
import { readinessCheck } from './service.ts'

export const problem = z
  .strictObject({
    type: z.string().meta({ description: 'Names the kind of problem, one for each `code`.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().meta({ description: 'The path asked for; of a bulk line, with its number.' }),
    code: z.enum(problemCodes),
    errors: z
      .array(
        z.strictObject({
          in: z.enum(['body', 'query', 'path', 'header']),
          pointer: z.string().meta({ description: 'JSON pointer; for a header or parameter, "/" and its name.' }),
          detail: z.string(),
        }),
      )
      .optional(),
    operation: z.string().optional(),
    command: z.string().optional().meta({ description: 'The idempotency key: send again with it.' }),
    track: z.string().optional(),
    currentStatus: z.string().nullable().optional(),
    allowedStatuses: z.array(z.string()).optional(),
    revision: revision.optional().meta({ description: 'The actual revision.' }),
    position: z.string().optional(),
    checks: z.array(readinessCheck).optional(),
    events: z.array(recordedEvent).optional().meta({ description: '412: what happened since the expected revision.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' })
