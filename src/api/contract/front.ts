import { z } from 'zod'

const path = z.string()

export const front = z
  .strictObject({
    name: z.literal('Waybill'),
    version: z.string(),
    documentation: path.meta({ description: 'A page for people, to try the API out.' }),
    openapi: path.meta({ description: 'The same for programs.' }),
    readiness: path,
  })
  .meta({ id: 'Front', description: 'Where to go on from here: paths of this service.' })
