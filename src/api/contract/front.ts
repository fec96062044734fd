import { z } from 'zod'

const path = z.string()

export const front = z
  .strictObject({
    name: z.literal('Waybill').meta({ description: 'What this is.' }),
    version: z.string().meta({ description: 'Of the service.' }),
    documentation: path.meta({ description: 'A page for people, to try the API out.' }),
    openapi: path.meta({ description: 'The same for programs.' }),
    readiness: path.meta({ description: 'Whether the service takes requests now.' }),
  })
  .meta({ id: 'Front', description: 'Where to go on from here: paths of this service.' })
