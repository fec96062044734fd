import { randomUUID } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/postgres/embedded.ts'
import { type Service, startService } from '../../src/service.ts'
import { patienceMs } from '../support/patience.ts'

// What somebody can do who has got hold of the service's connection to its database: a service serves meanwhile.

const operatorKey = 'an-operator-key-of-the-configuration'
const quiet = () => undefined
const warnings: string[] = []
const logger = {
  debug: quiet,
  info: quiet,
  error: quiet,
  fatal: quiet,
  warn: (_fields: object, message: string) => warnings.push(message),
}

let server: EmbeddedPostgres
let service: Service
let owner: pg.Client
let intruder: pg.Client

beforeAll(async () => {
  const folder = await mkdtemp(join(inject('dataDirectory'), 'login-'))
  server = await startEmbeddedPostgres({ dataDir: folder, settings: { min_wal_size: '80MB' } })
  service = await startService({
    config: readConfig({
      DATABASE_URL: server.servingConnectionString,
      WAYBILL_MIGRATION_DATABASE_URL: server.connectionString,
      WAYBILL_OPERATOR_KEY: operatorKey,
      WAYBILL_PORT: '0',
    }),
    logger,
  })
  owner = await connect(server.connectionString)
  intruder = await connect(server.servingConnectionString)
  for (const [name, roles] of [
    ['admin', ['operator']],
    ['scanner', ['viewer']],
    ['gone', ['operator']],
  ] as const) {
    expect((await send('POST', '/v1/keys', { name, roles })).status).toBe(201)
  }
  expect((await send('DELETE', '/v1/keys/gone')).status).toBe(204)
  expect((await report()).status).toBe(201)
})
afterAll(async () => {
  await intruder.end()
  await owner.end()
  await service.stop()
  await server.stop()
})

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString })
  client.on('error', quiet)
  await client.connect()
  return client
}

async function send(method: string, path: string, body?: object) {
  const answer = await fetch(service.url + path, {
    method,
    headers: {
      authorization: `Bearer ${operatorKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
}

const report = (id: string = randomUUID()) =>
  send('POST', `/v1/operations/${id}/reports`, { pipeline: 'any', service: 'ocr', status: 'read' })

/** A report is taken, and projected. */
async function expectServing(): Promise<void> {
  const id = randomUUID()
  const { status, body } = await report(id)
  expect(status, JSON.stringify(body)).toBe(201)
  const list = await send('GET', `/v1/operations?sort=-openedAt&pageSize=1&minPosition=${body.position}`)
  expect(list.body.operations.map((operation: { id: string }) => operation.id)).toEqual([id])
}

const everything = async () => {
  const { rows } = await owner.query(`
    SELECT (SELECT md5(string_agg(e::text, ',' ORDER BY position)) FROM waybill_log.events e WHERE position <= 4) AS events,
      (SELECT jsonb_agg(to_jsonb(k) ORDER BY id) FROM waybill_access.keys k) AS keys,
      (SELECT log_id FROM waybill_log.log_head) AS log`)
  return rows[0]
}

const denied = '42501'
const forged = '23514'

const becoming: readonly (readonly [string, string])[] = [
  ['SET ROLE waybill', denied],
  ['SET ROLE pg_write_server_files', denied],
  ['SET ROLE pg_execute_server_program', denied],
  ['SET SESSION AUTHORIZATION waybill', denied],
  ['RESET ROLE; SET SESSION AUTHORIZATION DEFAULT; SET ROLE waybill', denied],
  ["SELECT set_config('role', 'waybill', false)", denied],
  ["SELECT set_config('session_authorization', 'waybill', false)", denied],
  ['SET session_replication_role = replica', denied],
  ['ALTER ROLE waybill_server SUPERUSER', denied],
  ['ALTER ROLE waybill_server CREATEROLE', denied],
  ['ALTER ROLE waybill_service LOGIN', denied],
  ["ALTER ROLE waybill PASSWORD 'mine'", denied],
  ['GRANT waybill TO waybill_server', denied],
  ['GRANT waybill_service TO waybill_server WITH ADMIN TRUE', denied],
  ['CREATE ROLE helper', denied],
  ['CREATE DATABASE mine', denied],
  ['ALTER DATABASE waybill OWNER TO waybill_server', denied],
  ["ALTER SYSTEM SET fsync = 'off'", denied],
  ['REASSIGN OWNED BY waybill TO waybill_server', denied],
]

const structure: readonly (readonly [string, string])[] = [
  ['ALTER TABLE waybill_log.events ADD COLUMN more text', denied],
  ['ALTER TABLE waybill_log.events DISABLE TRIGGER ALL', denied],
  ['ALTER TABLE waybill_access.keys DISABLE TRIGGER keys_hold_to_rules', denied],
  ['DROP TRIGGER events_refuse_change ON waybill_log.events', denied],
  ['DROP TRIGGER keys_hold_to_rules ON waybill_access.keys', denied],
  ['CREATE TRIGGER mine BEFORE INSERT ON waybill_read.operations EXECUTE FUNCTION waybill_log.refuse_change()', denied],
  ['CREATE RULE mine AS ON INSERT TO waybill_read.operations DO INSTEAD NOTHING', denied],
  ['CREATE INDEX ON waybill_log.events (type)', denied],
  ['DROP TABLE waybill_log.events', denied],
  ['DROP TABLE waybill_read.operations', denied],
  ['DROP SCHEMA waybill_log CASCADE', denied],
  ['DROP FUNCTION waybill_log.append_chains', denied],
  ['ALTER FUNCTION waybill_log.append_chains SECURITY INVOKER', denied],
  ['ALTER FUNCTION waybill_log.append_chains SET search_path = public', denied],
  ["UPDATE waybill.migrations SET checksum = ''", denied],
  ['CREATE SCHEMA mine', denied],
  ['CREATE TEMP TABLE events (position bigint)', denied],
  ['CREATE EXTENSION plpgsql_check', '(42501|0A000)'],
  ["CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", denied],
  ["CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", denied],
  ["CREATE FUNCTION mine() RETURNS int LANGUAGE c AS '/lib/libc.so.6', 'getpid'", denied],
  ...[
    'public',
    'waybill',
    'waybill_log',
    'waybill_read',
    'waybill_shadow',
    'waybill_access',
    'waybill_snapshots',
    'pg_catalog',
  ].map((schema) => [`CREATE TABLE ${schema}.mine (a int)`, denied] as const),
]

const events: readonly (readonly [string, string])[] = [
  ["UPDATE waybill_log.events SET type = 'Forged'", denied],
  ['DELETE FROM waybill_log.events', denied],
  ['TRUNCATE waybill_log.events', denied],
  ["INSERT INTO waybill_log.events VALUES (99, 0, 1, gen_random_uuid(), 'Forged', '{}', '{}')", denied],
  ["INSERT INTO waybill_log.streams VALUES (99, 'forged')", denied],
  ['INSERT INTO waybill_log.log_head DEFAULT VALUES', denied],
  ['UPDATE waybill_log.log_head SET position = 1000', denied],
  ["UPDATE waybill_log.log_head SET state = 'closed'", denied],
  ['SELECT FROM waybill_log.log_head FOR UPDATE', denied],
  ['DO $$ BEGIN LOCK TABLE waybill_log.log_head IN ROW EXCLUSIVE MODE; END $$', denied],
  ['DO $$ BEGIN LOCK TABLE waybill_log.events IN SHARE MODE; END $$', denied],
  ["SELECT waybill_log.import_events(0, '{}', '{}', '{}', '{}', '{}', '{}')", denied],
  ['COPY waybill_log.events FROM STDIN', denied],
  ['MERGE INTO waybill_log.events e USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE', denied],
]

const newKey = (values: string) =>
  `INSERT INTO waybill_access.keys (id, name, roles, digest, created_at, created_by) VALUES (${values})`

const keys: readonly (readonly [string, string])[] = [
  [newKey(`'short', 'forged', '{operator}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{operator}', 'x', now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{king}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{operator,operator}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{{operator},{viewer}}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{operator,NULL}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'operator', '{operator}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', E'two\\nlines', '{operator}', sha256('x'), now(), 'admin'`), forged],
  [newKey(`'0123456789abcdef', 'forged', '{operator}', sha256('x'), now(), E'\\u202e'`), forged],
  [newKey(`'0123456789abcdef', 'admin', '{operator}', sha256('x'), now(), 'admin'`), '23505'],
  ["UPDATE waybill_access.keys SET roles = '{operator}' WHERE name = 'scanner'", denied],
  ["UPDATE waybill_access.keys SET digest = sha256('x')", denied],
  ['UPDATE waybill_access.keys SET services = NULL, definer_stated = false', denied],
  ["UPDATE waybill_access.keys SET revoked_at = NULL, revoked_by = NULL WHERE name = 'gone'", forged],
  ["UPDATE waybill_access.keys SET revoked_by = 'other' WHERE name = 'gone'", forged],
  ["UPDATE waybill_access.keys SET revoked_at = now() WHERE name = 'admin'", forged],
  ['DELETE FROM waybill_access.keys', denied],
  ['TRUNCATE waybill_access.keys', denied],
  ['UPDATE waybill_access.changes SET counter = 0', forged],
  ['UPDATE waybill_access.changes SET counter = 9223372036854775807', forged],
  ['DELETE FROM waybill_access.changes', denied],
  [
    `SELECT waybill_access.create_key('0123456789abcdef', 'forged', '{king}', NULL, NULL, sha256('x'), 'configuration', NULL)`,
    forged,
  ],
  [
    `SELECT waybill_access.create_key('0123456789abcdef', 'forged', '{operator}', NULL, NULL, 'x', 'configuration', NULL)`,
    forged,
  ],
  [`SELECT waybill_access.create_key(NULL, NULL, NULL, NULL, NULL, NULL, 'configuration', NULL)`, forged],
  ["SELECT waybill_access.begin_change('configuration', NULL)", denied],
]

const positions: readonly (readonly [string, string])[] = [
  ['UPDATE waybill_read.checkpoints SET position = 1000000', forged],
  [
    `UPDATE waybill_read.checkpoints SET log_id = 'x', position = 1000000;
    UPDATE waybill_read.checkpoints SET log_id = (SELECT log_id FROM waybill_log.log_head)`,
    forged,
  ],
  [
    `UPDATE waybill_shadow.checkpoints SET log_id = (SELECT log_id FROM waybill_log.log_head), position = 1000000`,
    forged,
  ],
  [
    `INSERT INTO waybill_read.checkpoints (name, position, epoch, log_id)
    SELECT 'other', 1000000, 0, log_id FROM waybill_log.log_head`,
    forged,
  ],
  ['ALTER TABLE waybill_read.checkpoints DISABLE TRIGGER ALL', denied],
]

const files: readonly (readonly [string, string])[] = [
  ["COPY (SELECT 1) TO PROGRAM 'true'", denied],
  ["COPY waybill_read.parked FROM PROGRAM 'true'", denied],
  ["COPY (SELECT 1) TO '/tmp/waybill-should-not-be'", denied],
  ["COPY waybill_read.parked FROM '/etc/hostname'", denied],
  ["SELECT pg_read_file('postgresql.conf')", denied],
  ["SELECT pg_read_binary_file('global/pg_control')", denied],
  ["SELECT pg_ls_dir('.')", denied],
  ["SELECT lo_import('/etc/hostname')", denied],
  ["SELECT lo_export(1, '/tmp/waybill-should-not-be')", denied],
  ['SELECT rolpassword FROM pg_authid', denied],
  ['SELECT pg_reload_conf()', denied],
  ['SELECT pg_switch_wal()', denied],
  ['CHECKPOINT', denied],
  ["LOAD '/lib/libc.so.6'", denied],
]

describe.each([
  ['become another', becoming],
  ['change the structure, or make anything', structure],
  ['change events', events],
  ['forge, raise or revive keys', keys],
  ['put a checkpoint beyond the end of the log', positions],
  ['reach files, programs and settings', files],
])('a session of the login that serves cannot %s:', (_, attempts) => {
  test.each(attempts)('%s', async (sql, code) => {
    const before = await everything()
    for (const role of ['RESET ROLE', 'SET ROLE waybill_service']) {
      await intruder.query(role)
      await expect(intruder.query(sql), role).rejects.toMatchObject({
        code: expect.stringMatching(new RegExp(`^${code}$`)),
      })
    }
    expect(await everything()).toEqual(before)
    await expectServing()
  })
})

test.each([
  'REVOKE EXECUTE ON FUNCTION waybill_log.append_chains FROM waybill_service',
  'GRANT ALL ON ALL TABLES IN SCHEMA waybill_log TO waybill_server',
  'GRANT SELECT ON waybill_log.events TO PUBLIC',
])('it gives and takes no rights, PostgreSQL warns: %s', async (sql) => {
  const rights = async () =>
    (await owner.query(`SELECT relname, relacl::text FROM pg_class ORDER BY oid`)).rows.concat(
      (await owner.query(`SELECT proname, proacl::text FROM pg_proc ORDER BY oid`)).rows,
    )
  const before = await rights()
  const notices: string[] = []
  const listen = ({ message }: { readonly message?: string | undefined }) => void notices.push(message ?? '')
  intruder.on('notice', listen)
  await intruder.query(sql)
  intruder.off('notice', listen)
  expect(notices.join()).toContain('no privileges')
  expect(await rights()).toEqual(before)
})

test.each(['postgres', 'template1'])('it reaches no other database: %s', async (database) => {
  const url = new URL(server.servingConnectionString)
  url.pathname = `/${database}`
  await expect(connect(url.href)).rejects.toMatchObject({ code: denied })
})

test('keys are made and revoked for those who may, by the functions as well', async () => {
  const { rows } = await owner.query(`SELECT name, id FROM waybill_access.keys`)
  const ids = Object.fromEntries(rows.map(({ name, id }) => [name, id]))
  const create = async (origin: string, keyId: string | null, roles = '{viewer}') => {
    const { rows: answers } = await intruder.query(
      `SELECT refusal FROM waybill_access.create_key('0123456789abcdef', 'forged', $1, NULL, NULL, sha256('x'), $2, $3)`,
      [roles, origin, keyId],
    )
    return answers[0].refusal
  }
  // There are keys: nobody is let in without one any more.
  expect(await create('nobody', null, '{operator}')).toBe('caller_unknown')
  expect(await create('database', ids.scanner)).toBe('caller_unknown')
  expect(await create('database', ids.gone)).toBe('caller_unknown')
  expect(await create('database', 'no such key')).toBe('caller_unknown')
  expect(await create('elsewhere', ids.admin)).toBe('caller_unknown')
  const { rows: revoked } = await intruder.query(
    `SELECT refusal FROM waybill_access.revoke_key('admin', 'database', $1)`,
    [ids.admin],
  )
  expect(revoked).toEqual([{ refusal: 'operator_needed' }])
})

test('a key that a node of the version before makes is held to the same rules, and counted', async () => {
  const counter = async () => Number((await owner.query('SELECT counter FROM waybill_access.changes')).rows[0].counter)
  const before = await counter()
  await intruder.query('BEGIN')
  await intruder.query('SELECT counter FROM waybill_access.changes FOR UPDATE')
  const { rows } = await intruder.query(
    `${newKey(`'fedcba9876543210', 'of-before', '{viewer}', sha256('y'), '2000-01-01', 'admin'`)} RETURNING created_at`,
  )
  await intruder.query('UPDATE waybill_access.changes SET counter = counter + 1')
  await intruder.query('COMMIT')
  expect(Date.now() - rows[0].created_at.getTime()).toBeLessThan(patienceMs)
  expect(await counter()).toBeGreaterThan(before)
  await intruder.query(
    `UPDATE waybill_access.keys SET revoked_at = '2000-01-01', revoked_by = 'admin' WHERE name = 'of-before'`,
  )
  const { rows: kept } = await owner.query(
    `SELECT revoked_at > created_at - interval '1 second' AS late, revoked_by FROM waybill_access.keys WHERE name = 'of-before'`,
  )
  expect(kept).toEqual([{ late: true, revoked_by: 'admin' }])
  // Not counted by who made it, and counted all the same: no node may miss a key.
  const then = await counter()
  await intruder.query(newKey(`'fedcba9876543211', 'uncounted', '{viewer}', sha256('z'), now(), 'admin'`))
  expect(await counter()).toBe(then + 1)
  await expectServing()
})

test('functions with their owner’s rights look at nothing that the session puts before them', async () => {
  // Each one there is: a fixed path, with the session's own schema last.
  const { rows } = await owner.query(
    `SELECT oid::regprocedure::text AS name, proconfig FROM pg_proc WHERE prosecdef AND pronamespace::regnamespace::text LIKE 'waybill%'`,
  )
  expect(rows.length).toBeGreaterThan(6)
  for (const { name, proconfig } of rows) {
    const path = proconfig?.find((setting: string) => setting.startsWith('search_path='))
    expect(path, name).toMatch(/^search_path=pg_catalog, (waybill_log, )?pg_temp$/)
  }
  // And tried, where temporary tables are allowed.
  await owner.query('GRANT TEMPORARY ON DATABASE waybill TO waybill_server')
  const decoy = await connect(server.servingConnectionString)
  try {
    await decoy.query(`
      CREATE TEMP TABLE log_head AS SELECT * FROM waybill_log.log_head;
      CREATE TEMP TABLE events AS SELECT * FROM waybill_log.events;
      CREATE TEMP TABLE streams AS SELECT * FROM waybill_log.streams;
      CREATE FUNCTION pg_temp.octet_length(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE FUNCTION pg_temp.unnest(integer[]) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
      SET search_path = pg_temp, waybill_log`)
    const { rows: heads } = await decoy.query('SELECT log_id, position::int FROM waybill_log.log_head')
    await decoy.query(
      `SELECT append_chains($1, 1, -1, 'decoy', '{0}', '{-1}', '{1}', '{0}', '{1}', '{}', ARRAY[gen_random_uuid()], 'Happened', '{}', '{}')`,
      [heads[0].log_id],
    )
    const { rows: found } = await owner.query(`SELECT FROM waybill_log.streams WHERE name = 'decoy'`)
    expect(found).toHaveLength(1)
    const { rows: decoys } = await decoy.query('SELECT position::int FROM pg_temp.log_head')
    expect(decoys[0].position).toBeLessThanOrEqual(heads[0].position)
  } finally {
    await decoy.end()
    await owner.query('REVOKE TEMPORARY ON DATABASE waybill FROM waybill_server')
  }
  await expectServing()
})

test('it owns nothing, may create nowhere, and is a member of one role alone, which may no more', async () => {
  const { rows } = await owner.query(`
    SELECT
      (SELECT count(*)::int FROM pg_shdepend WHERE deptype = 'o' AND refobjid IN (l.oid, s.oid)) AS owned,
      (SELECT array_agg(nspname::text) FROM pg_namespace WHERE has_schema_privilege(l.oid, oid, 'CREATE')) AS creates,
      has_database_privilege(l.oid, 'waybill', 'CREATE') OR has_database_privilege(l.oid, 'waybill', 'TEMPORARY') AS makes,
      l.rolsuper OR l.rolcreaterole OR l.rolcreatedb OR l.rolreplication OR l.rolbypassrls
        OR s.rolsuper OR s.rolcreaterole OR s.rolcreatedb OR s.rolcanlogin AS mighty,
      (SELECT array_agg(m.roleid::regrole || CASE WHEN m.admin_option THEN ' as administrator' ELSE '' END)
       FROM pg_auth_members m WHERE m.member IN (l.oid, s.oid)) AS memberships
    FROM pg_roles l, pg_roles s WHERE l.rolname = 'waybill_server' AND s.rolname = 'waybill_service'`)
  expect(rows).toEqual([{ owned: 0, creates: null, makes: false, mighty: false, memberships: ['waybill_service'] }])
})

test('what serves are its sessions, and none of the owner’s', async () => {
  const { rows } = await owner.query(
    `SELECT DISTINCT usename::text AS login FROM pg_stat_activity WHERE application_name LIKE 'waybill%'`,
  )
  expect(rows).toEqual([{ login: 'waybill_server' }])
  expect(warnings).toEqual([])
})

test('the read model is rebuilt by them', async () => {
  const asked = await send('POST', '/v1/projections/operations/rebuild', {})
  expect(asked.status).toBeLessThan(300)
  await expect
    .poll(async () => (await send('GET', '/v1/projections/operations')).body.rebuild?.outcome, { timeout: patienceMs })
    .toBe('done')
  await expectServing()
})
