import { z } from 'zod'
import { problemCodes } from '../problem.ts'
import { revision } from './names.ts'
import { recordedEvent } from './recordedEvent.ts'
import { readinessCheck } from './service.ts'

export const problem = z
  .strictObject({
    type: z.string().meta({ description: 'Names the kind of problem, one for each `code`.' }),
    title: z.string().meta({ description: 'What kind of problem it is, in words.' }),
    status: z.int().meta({ description: 'The HTTP status.' }),
    detail: z.string().meta({ description: 'What is wrong in this case, for a person.' }),
    instance: z.string().meta({ description: 'The path asked for; of a bulk line, with its number.' }),
    code: z.enum(problemCodes).meta({ description: 'What is wrong, for a program.' }),
    errors: z
      .array(
        z.strictObject({
          in: z.enum(['body', 'query', 'path', 'header']).meta({ description: 'The part of the request.' }),
          pointer: z.string().meta({ description: 'JSON pointer; for a header or parameter, "/" and its name.' }),
          detail: z.string().meta({ description: 'What is wrong there.' }),
        }),
      )
      .optional()
      .meta({ description: 'Each place in the request that is wrong.' }),
    operation: z.string().optional().meta({ description: 'The id of the operation.' }),
    command: z.string().optional().meta({ description: 'The idempotency key: send again with it.' }),
    track: z.string().optional().meta({ description: 'The track that the report was for.' }),
    currentStatus: z.string().nullable().optional().meta({ description: 'Where that track stands.' }),
    allowedStatuses: z
      .array(z.string())
      .optional()
      .meta({ description: 'The statuses that a report may bring it to now.' }),
    revision: revision.optional().meta({ description: 'The actual revision.' }),
    position: z.string().optional().meta({ description: 'Up to where the log is visible by now.' }),
    checks: z.array(readinessCheck).optional().meta({ description: 'What readiness looked at.' }),
    events: z.array(recordedEvent).optional().meta({ description: '412: what happened since the expected revision.' }),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' })
