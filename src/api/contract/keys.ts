import { z } from 'zod'
import { reservedNames, roles } from '../../access/access.ts'
import { namePattern } from '../../operation/names.ts'
import { timestamp } from './names.ts'
import { nextPageToken, pageSize, pageToken } from './paging.ts'

const keyName = z
  .string()
  .regex(namePattern, 'must be a letter or digit, then up to 63 letters, digits, - and _')
  .meta({ description: 'Who uses it: the `actor` of what comes of its requests.', examples: ['ocr'] })

const role = z.enum(roles).meta({
  description: '`service`: commands. `viewer`: queries. `auditor`: log and history. `operator`: all, and the keys.',
})

export const keyParams = z.strictObject({ name: keyName })

export const keyListQuery = (pageSizeMax: number) => z.strictObject({ pageSize: pageSize(pageSizeMax), pageToken })

export const newKey = z.strictObject({
  name: keyName.refine((name) => !reservedNames.includes(name), 'is a reserved word'),
  roles: z
    .array(role)
    .min(1)
    .max(roles.length)
    .refine((given) => new Set(given).size === given.length, 'names a role twice')
    .meta({ description: 'What it may do.' }),
})

const keyFields = {
  id: z.string().meta({ description: 'The part of the key that is not secret: `wb_<id>_<secret>`.' }),
  name: z.string().meta({ description: 'Who uses it.' }),
  roles: z.array(role).meta({ description: 'What it may do.' }),
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
