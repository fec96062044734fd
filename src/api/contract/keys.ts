import { z } from 'zod'
import { boundNamesMax, reservedNames, roles } from '../../access/access.ts'
import { namePattern } from '../../operation/names.ts'
import { pipelineName, serviceName, timestamp } from './names.ts'
import { nextPageToken, pageSize, pageToken } from './paging.ts'

const keyName = z
  .string()
  .regex(namePattern, 'must be a letter or digit, then up to 63 letters, digits, - and _')
  .meta({ description: 'Who uses it: the `actor` of what comes of its requests.', examples: ['ocr'] })

const role = z.enum(roles).meta({
  description:
    '`service`: commands. `definer`: pipelines. `viewer`: queries. `auditor`: log and history. `operator`: all, and the keys.',
})

const isWithoutRepeats = (names: readonly string[]) => new Set(names).size === names.length

const bindingFields = {
  services: z
    .array(serviceName)
    .min(1)
    .max(boundNamesMax)
    .refine(isWithoutRepeats, 'names a service twice')
    .exactOptional()
    .meta({ description: 'The services whose reports it may send. Default: all.' }),
  pipelines: z
    .array(pipelineName)
    .min(1)
    .max(boundNamesMax)
    .refine(isWithoutRepeats, 'names a pipeline twice')
    .exactOptional()
    .meta({ description: 'The pipelines it may send commands into, and define. Default: all.' }),
}

export const keyParams = z.strictObject({ name: keyName })

export const keyListQuery = (pageSizeMax: number) => z.strictObject({ pageSize: pageSize(pageSizeMax), pageToken })

const newKeyFields = z.strictObject({
  name: keyName.refine((name) => !reservedNames.includes(name), 'is a reserved word'),
  roles: z
    .array(role)
    .min(1)
    .max(roles.length)
    .refine(isWithoutRepeats, 'names a role twice')
    .meta({ description: 'What it may do.' }),
  ...bindingFields,
})

type NewKeyFields = z.output<typeof newKeyFields>

/** A binding that would bind nothing is a misunderstanding: whoever made the key would believe it to be bound. */
const bindsNothing = {
  services: ({ roles: given, services }: NewKeyFields) =>
    services !== undefined && (given.includes('operator') || !given.includes('service')),
  pipelines: ({ roles: given, pipelines }: NewKeyFields) =>
    pipelines !== undefined &&
    (given.includes('operator') || !(given.includes('service') || given.includes('definer'))),
}

export const newKey = newKeyFields
  .refine((key) => !bindsNothing.services(key), {
    path: ['services'],
    error: 'bind a key with the role service, and without the role operator',
  })
  .refine((key) => !bindsNothing.pipelines(key), {
    path: ['pipelines'],
    error: 'bind a key with the role service or definer, and without the role operator',
  })

const keyFields = {
  id: z.string().meta({ description: 'The part of the key that is not secret: `wb_<id>_<secret>`.' }),
  name: z.string().meta({ description: 'Who uses it.' }),
  roles: z.array(role).meta({ description: 'What it may do.' }),
  ...bindingFields,
  createdAt: timestamp.meta({ description: 'When it was made.' }),
  createdBy: z.string().meta({ description: 'The name of the key that made it.' }),
}

export const keyRecord = z
  .strictObject(keyFields)
  .meta({ id: 'Key', description: 'An access key, without its secret.' })

export const createdKey = z
  .strictObject({ ...keyFields, key: z.string().meta({ description: 'The key itself: shown here, and never again.' }) })
  .meta({ id: 'CreatedKey', description: 'A new key, with its secret.' })

export const keyList = z
  .strictObject({ keys: z.array(keyRecord).meta({ description: 'By name.' }), nextPageToken })
  .meta({ id: 'KeyList', description: 'A page of keys.' })
