// Several nodes on one database: what they know of keys, and when.
import pg from 'pg'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  type Access,
  type Caller,
  type CreateKeyResult,
  KeysUnavailableError,
  type Role,
} from '../../src/access/access.ts'
import { type AccessSettings, openAccess, refreshMsDefault } from '../../src/access/openAccess.ts'
import { eventually } from '../api/apiHarness.ts'
import { createMigratedDatabase } from '../support/database.ts'

let connectionString: string
beforeEach(async () => {
  const database = await createMigratedDatabase()
  onTestFinished(() => database.drop({ allowOpen: true }))
  connectionString = database.connectionString
})

async function open(settings: Partial<AccessSettings> = {}): Promise<Access> {
  const access = await openAccess({ connectionString, anonymousAllowed: true, ...settings })
  onTestFinished(() => access.close())
  return access
}

function caller(access: Access, key?: string): Caller {
  const found = access.authenticate(key === undefined ? undefined : `Bearer ${key}`)
  if (found === null) throw new Error('nobody is known by that')
  return found
}

const create = (access: Access, name: string, roles: readonly Role[], by: Caller) => access.create({ name, roles }, by)

function keyOf(result: CreateKeyResult): string {
  if (result.kind !== 'created') throw new Error(`refused: ${result.refusal}`)
  return result.key
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

const configured = 'c'.repeat(40)
const configuredCaller: Caller = { name: 'configuration', keyId: null, roles: ['operator'], origin: 'configuration' }

describe('without any key', () => {
  test('everybody is anonymous and may do everything, where that is allowed', async () => {
    const here = await open()
    expect(here.authenticate(undefined)).toEqual({
      name: 'anonymous',
      keyId: null,
      roles: ['operator'],
      origin: 'nobody',
    })
    expect(here.hasKeys()).toBe(false)
    // Who sends a key believes to have one.
    expect(here.authenticate('Bearer nothing')).toBeNull()
    expect((await open({ anonymousAllowed: false })).authenticate(undefined)).toBeNull()
  })

  test("the first key must be an operator's, and ends anonymity on every node", async () => {
    const [here, there] = [await open({ refreshMs: 50 }), await open({ refreshMs: 50 })]
    const nobody = caller(here)
    expect(await create(here, 'ocr', ['service'], nobody)).toEqual({ kind: 'refused', refusal: 'operator_needed' })
    const key = keyOf(await create(here, 'admin', ['operator', 'service'], nobody))
    expect(here.authenticate(undefined)).toBeNull()
    expect(caller(here, key)).toMatchObject({ name: 'admin', roles: ['operator', 'service'], origin: 'database' })
    // The other node may not have heard yet: the database knows.
    expect(await create(there, 'late', ['operator'], nobody)).toEqual({ kind: 'refused', refusal: 'caller_unknown' })
    await eventually(
      async () => there.authenticate(undefined),
      (found) => found === null,
    )
    expect(caller(there, key).name).toBe('admin')
  })

  test('of two first keys made at once, one is made', async () => {
    const [here, there] = [await open(), await open()]
    const results = await Promise.all([
      create(here, 'one', ['operator'], caller(here)),
      create(there, 'two', ['operator'], caller(there)),
    ])
    expect(results.map(({ kind }) => kind).sort()).toEqual(['created', 'refused'])
  })

  test("the configuration's key is one: nobody is anonymous, and any key may come first", async () => {
    const here = await open({ operatorKey: configured })
    expect(here.hasKeys()).toBe(true)
    expect(here.authenticate(undefined)).toBeNull()
    expect(caller(here, configured)).toMatchObject({ name: 'operator', roles: ['operator'] })
    expect((await create(here, 'ocr', ['service'], caller(here, configured))).kind).toBe('created')
  })
})

describe('keys', () => {
  test('are kept as digests only', async () => {
    const here = await open({ operatorKey: configured })
    const key = keyOf(await create(here, 'ocr', ['service'], caller(here, configured)))
    const [row] = await query(
      'SELECT to_jsonb(k)::text AS text, octet_length(digest) AS bytes FROM waybill_access.keys k',
    )
    expect(row?.bytes).toBe(32)
    expect(row?.text).not.toContain(key.slice(-43))
    expect(JSON.stringify(await here.list())).not.toContain(key.slice(-43))
  })

  test('have names of their own while they are in force; afterwards the name is free', async () => {
    const here = await open({ operatorKey: configured })
    const by = caller(here, configured)
    const first = keyOf(await create(here, 'ocr', ['service'], by))
    expect(await create(here, 'ocr', ['viewer'], by)).toEqual({ kind: 'refused', refusal: 'name_taken' })
    expect(await here.revoke('ocr', by)).toEqual({ kind: 'revoked' })
    expect(await here.revoke('ocr', by)).toEqual({ kind: 'not_found' })
    const second = keyOf(await create(here, 'ocr', ['viewer'], by))
    expect(here.authenticate(`Bearer ${first}`)).toBeNull()
    expect(caller(here, second).roles).toEqual(['viewer'])
    expect(await query('SELECT revoked_by FROM waybill_access.keys ORDER BY created_at')).toEqual([
      { revoked_by: 'operator' },
      { revoked_by: null },
    ])
  })

  test("the last operator's is not revoked, but by the configuration's key; then nobody is anonymous again", async () => {
    const here = await open()
    const key = keyOf(await create(here, 'admin', ['operator'], caller(here)))
    const admin = caller(here, key)
    expect(await here.revoke('admin', admin)).toEqual({ kind: 'refused', refusal: 'operator_needed' })
    keyOf(await create(here, 'second', ['operator'], admin))
    expect(await here.revoke('admin', admin)).toEqual({ kind: 'revoked' })
    // Its key is gone: what it began before cannot be ended.
    expect(await create(here, 'third', ['operator'], admin)).toEqual({ kind: 'refused', refusal: 'caller_unknown' })
    const rescuer = await open({ operatorKey: configured })
    expect(await rescuer.revoke('second', caller(rescuer, configured))).toEqual({ kind: 'revoked' })
    await eventually(
      async () => here.hasKeys(),
      (has) => !has,
    )
    expect(here.authenticate(undefined)).toBeNull()
  })
})

describe('a change on one node', () => {
  test('is in force on another with its next look, which is not more than 2 s away', async () => {
    expect(2 * refreshMsDefault).toBeLessThanOrEqual(2_000)
    const [here, there] = [await open({ operatorKey: configured }), await open()]
    const by = caller(here, configured)
    const key = keyOf(await create(here, 'ocr', ['service'], by))
    await eventually(
      async () => there.authenticate(`Bearer ${key}`),
      (found) => found !== null,
    )
    await here.revoke('ocr', by)
    expect(here.authenticate(`Bearer ${key}`)).toBeNull()
    await eventually(
      async () => there.authenticate(`Bearer ${key}`),
      (found) => found === null,
    )
  })
})

describe('when the database is away', () => {
  test('the keys known so far stay in force, changes are refused, and it is told once', async () => {
    const warnings: string[] = []
    let away = false
    let refused = 0
    const here = await open({
      operatorKey: configured,
      refreshMs: 20,
      admit: async () => {
        if (!away) return
        refused += 1
        throw new Error('away')
      },
      logger: { warn: (_fields, message) => warnings.push(message) },
    })
    const by = caller(here, configured)
    const key = keyOf(await create(here, 'ocr', ['service'], by))
    away = true
    await query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'waybill access'`,
    )
    // No look succeeds from here on. One that took too long before, as one may on a busy machine, was told as well.
    const before = warnings.length
    const seen = refused
    await eventually(
      async () => refused,
      (count) => count >= seen + 3,
    )
    expect(caller(here, key).name).toBe('ocr')
    await expect(create(here, 'more', ['viewer'], by)).rejects.toThrow(KeysUnavailableError)
    await expect(here.list()).rejects.toThrow(KeysUnavailableError)
    await expect(here.revoke('ocr', by)).rejects.toThrow(KeysUnavailableError)
    expect(warnings.length).toBeGreaterThan(0)
    expect(warnings.length).toBeLessThanOrEqual(before + 1)
    away = false
    await eventually(
      () => here.list().catch(() => []),
      (keys) => keys.length === 1,
    )
    expect(await here.revoke('ocr', by)).toEqual({ kind: 'revoked' })
    expect(here.authenticate(`Bearer ${key}`)).toBeNull()
  })
})

describe('when the database does not answer at the start', () => {
  const away = async () => {
    throw new Error('away')
  }

  test('it is asked again, and what it holds is in force once it answers', async () => {
    const key = keyOf(await create(await open({ operatorKey: configured }), 'ocr', ['service'], configuredCaller))
    const warnings: string[] = []
    let looks = 0
    const here = await open({
      refreshMs: 5,
      admit: async () => {
        looks += 1
        if (looks <= 3) await away()
      },
      logger: { warn: (_fields, message) => warnings.push(message) },
    })
    expect(caller(here, key).name).toBe('ocr')
    expect(here.authenticate(undefined)).toBeNull()
    expect(warnings).toEqual(['keys cannot be read; the start waits for them'])
  })

  test('for half a minute; then the start fails', async () => {
    let nowMs = 0
    const monotonicMs = () => {
      nowMs += 10_000
      return nowMs
    }
    await expect(open({ refreshMs: 5, admit: away, monotonicMs })).rejects.toThrow(KeysUnavailableError)
    expect(nowMs).toBeGreaterThan(30_000)
  })
})

describe("the service's role", () => {
  test('may manage keys, and neither delete one nor change what it is', async () => {
    const here = await open({ operatorKey: configured, role: 'waybill_service' })
    const by = caller(here, configured)
    keyOf(await create(here, 'ocr', ['service'], by))
    expect(await here.revoke('ocr', by)).toEqual({ kind: 'revoked' })
    for (const sql of ['DELETE FROM waybill_access.keys', "UPDATE waybill_access.keys SET roles = '{operator}'"]) {
      await expect(query(`SET ROLE waybill_service; ${sql}`)).rejects.toThrow('permission denied')
    }
  })
})
