// `waybill projections` as a process of its own, against a service of its own.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Progress, progressText } from '../../src/cli/progress.ts'
import { type ServiceProcess, startService } from '../e2e/serviceProcess.ts'
import { builtService } from '../nodes/support/builtService.ts'
import { createMigratedDatabase, type TestDatabase } from '../support/database.ts'
import { tamperingWith } from '../support/tampering.ts'
import { type Ran, type WaybillCommand, waybillCommand } from '../support/waybillCommand.ts'

let command: WaybillCommand
let database: TestDatabase
let service: ServiceProcess
let url: string

beforeAll(async () => {
  const { program } = await builtService()
  command = waybillCommand(program)
  database = await createMigratedDatabase()
  service = startService(program, { DATABASE_URL: database.connectionString })
  url = await service.url
})
afterAll(async () => {
  command.end()
  service.child.kill('SIGKILL')
  await database.drop({ allowOpen: true })
})

const projections = (...args: readonly string[]): Promise<Ran> =>
  command.run(['projections', ...args], { WAYBILL_URL: url })

describe('waybill projections', () => {
  test('lists, for a person and as JSON', async () => {
    const listed = await projections('list')
    expect([listed.code, listed.err]).toEqual([0, ''])
    expect(listed.out).toMatch(
      /^NAME +STATE +LAG +PARKED +OWNER +EPOCH\noperations +running +0 events +0 +\S+\/\d+ +1\n$/,
    )
    expect(JSON.parse((await projections('list', '--json')).out).projections).toMatchObject([{ name: 'operations' }])
    const parked = await projections('parked')
    expect([parked.code, parked.out, parked.err]).toEqual([0, '', 'Nothing is parked\n'])
    expect(JSON.parse((await projections('parked', '--json')).out)).toEqual({ parked: [] })
  })

  test('pauses and resumes, says so in the list, and rebuilds', async () => {
    expect((await projections('pause')).err).toContain('Paused operations')
    expect((await projections('list')).out).toContain('paused by anonymous since')
    const refused = await projections('rebuild')
    expect([refused.code, refused.out]).toEqual([1, ''])
    expect(refused.err).toContain('projection_paused')
    const resumed = await projections('resume', '--json', '--quiet')
    expect([resumed.code, resumed.err, JSON.parse(resumed.out).state]).toEqual([0, '', 'running'])
    const rebuilt = await projections('rebuild', '--json')
    expect([rebuilt.code, JSON.parse(rebuilt.out).outcome]).toEqual([0, 'done'])
    const asked = await projections('rebuild', '--no-wait', '--json')
    expect([asked.code, JSON.parse(asked.out).endedAt]).toEqual([0, null])
  })

  test('changes nothing with --dry-run, and skips nothing unless somebody said yes', async () => {
    const skip = ['skip', 'operation-x', '--revision', '1', '--reason', 'r']
    for (const args of [['pause'], ['resume'], ['rebuild'], ['retry', 'operation-x'], ['retry', '--all'], skip]) {
      const { code, out } = await projections(...args, '--dry-run', '--json')
      expect([code, JSON.parse(out).dryRun], args.join(' ')).toEqual([0, true])
    }
    expect((await projections('list')).out).not.toContain('paused')
    const unasked = await projections(...skip)
    expect([unasked.code, unasked.out]).toEqual([2, ''])
    const nothing = await projections(...skip, '--yes')
    expect([nothing.code, nothing.err.includes('not_parked')]).toEqual([1, true])
    expect((await projections('retry', '--all')).code).toBe(0)
    expect((await projections('retry', 'operation-x')).code).toBe(1)
  })

  test('has examples in every help text, and ends with 2 for wrong usage', async () => {
    for (const verb of [[], ['list'], ['rebuild'], ['pause'], ['resume'], ['parked'], ['retry'], ['skip']]) {
      const { code, out } = await projections(...verb, '--help')
      expect(code).toBe(0)
      expect(out, verb.join(' ')).toMatch(/Examples\n[\s\S]*\$ .*waybill projections /)
    }
    const wrong = [[], ['nonsense'], ['retry'], ['retry', 'x', '--all'], ['skip'], ['skip', 'x', '--revision', '1']]
    for (const args of [...wrong, ['skip', 'x', '--revision', 'one', '--reason', 'r', '--yes']]) {
      const { code, out, err } = await projections(...args)
      expect([code, out, err === ''], args.join(' ')).toEqual([2, '', false])
    }
    const unknown = await projections('rebuild', 'nothing')
    expect([unknown.code, unknown.err.includes('not_found')]).toEqual([1, true])
  })
})

describe('waybill projections, where a stream was tampered with', () => {
  test('says so after a rebuild, in the lists, and to who would retry or skip it', async () => {
    const body = JSON.stringify({ id: 'op-1', pipeline: 'any' })
    const opened = await fetch(`${url}/v1/operations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(opened.status).toBe(201)
    const tampering = await tamperingWith(database.connectionString)
    await tampering.change('operation-op-1', 0, 'data', (text) => `${text} `)
    await tampering.end()

    const rebuilt = await projections('rebuild')
    expect(rebuilt.code).toBe(0)
    expect(rebuilt.err).toContain('Streams that were tampered with, and are set aside: 1; see `parked`')
    expect((await projections('list')).out).toMatch(/ 1, tampered with: 1 /)
    expect((await projections('parked')).out).toMatch(/operation-op-1 +0 +\S+ +tampered +the hash chain of/)
    const skip = ['skip', 'operation-op-1', '--revision', '0', '--reason', 'r', '--yes']
    for (const args of [['retry', 'operation-op-1'], skip]) {
      const { code, out, err } = await projections(...args)
      expect([code, out], args.join(' ')).toEqual([1, ''])
      expect(err).toContain('neither a retry nor a skip takes that away')
      expect(err).toContain('(tampered, 409)')
    }
    const told = 'operation-op-1 was tampered with, and no retry takes that away'
    const all = await projections('retry', '--all', '--json')
    expect([all.code, JSON.parse(all.out), all.err.includes(told)]).toEqual([1, { retried: [] }, true])
    const dry = await projections('retry', '--all', '--dry-run', '--json')
    expect([dry.code, JSON.parse(dry.out).streams, dry.err.includes(told)]).toEqual([0, [], true])
  })
})

describe('progress', () => {
  function shown(isTerminal: boolean) {
    const lines: string[] = []
    let nowMs = 0
    const terminal = {
      data: () => undefined,
      progress: (text: string) => void lines.push(text),
      fleeting: (text: string) => void (isTerminal && lines.push(text)),
      isTerminal,
      asks: false,
      confirm: () => Promise.resolve(false),
      bold: (text: string) => text,
    }
    const progress = new Progress(terminal, 'events', () => nowMs)
    return {
      lines,
      show: (atMs: number, done: number) => {
        nowMs = atMs
        progress.show({ done, total: 1_000 })
      },
    }
  }

  test('is a bar with rate and time left on a terminal', () => {
    const { lines, show } = shown(true)
    show(0, 0)
    show(2_000, 500)
    // Begun anew by another node.
    show(3_000, 0)
    expect(lines).toEqual([
      `[${'.'.repeat(30)}] 0 %, 0 of 1000 events`,
      `[${'#'.repeat(15)}${'.'.repeat(15)}] 50 %, 500 of 1000 events, 250/s, 0:02 left`,
      `[${'.'.repeat(30)}] 0 %, 0 of 1000 events`,
    ])
  })

  test('is a line now and then off one', () => {
    const { lines, show } = shown(false)
    for (let second = 0; second <= 10; second += 1) show(second * 1_000, second * 10)
    expect(lines).toHaveLength(3)
    expect(progressText({ done: 0, total: 0 }, 0, 'events')).toBe('0 %, 0 of 0 events')
  })
})
