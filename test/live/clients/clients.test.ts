import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../../projections/support/eventually.ts'
import { type LiveHarness, startLive } from '../liveHarness.ts'
import { type CutAt, type CuttingProxy, type Fate, startCuttingProxy } from './cuttingProxy.ts'
import { type EventSourceClient, eventSourceClients } from './eventSourceClients.ts'
import { type Following, follow, onceEach } from './following.ts'

let live: LiveHarness
let full: LiveHarness
const cleanUps: (() => unknown)[] = []

beforeAll(async () => {
  live = await startLive({ limits: { streamRetryMs: 1 } })
  full = await startLive({ limits: { streamRetryMs: 1, streamsMax: 1 } })
})

afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
  await Promise.all([live.close(), full.close()])
})

async function proxyTo(
  { port }: LiveHarness,
  fateOf: (connection: number) => Fate | Promise<Fate>,
): Promise<CuttingProxy> {
  const proxy = await startCuttingProxy(port, fateOf)
  cleanUps.push(() => proxy.close())
  return proxy
}

function following(client: EventSourceClient, url: string): Following {
  const one = follow(client, url)
  cleanUps.push(() => one.close())
  return one
}

/** Every byte of a text, but only each 29th deep within JSON, where one is for a reader like the other. */
function cutsIn(text: string): number[] {
  const deep = /(?<=\{.{10}).*(?=.{10}\}\n)/.exec(text)
  const [from, to] = deep === null ? [0, 0] : [deep.index, deep.index + deep[0].length]
  const bytes = Array.from({ length: text.length }, (_, byte) => byte)
  return bytes.filter((byte) => byte < from || byte >= to || byte % 29 === 0)
}

/** Right behind the place that a stream begins with. */
const afterPlace: CutAt = (body) => {
  const end = body.indexOf('\n\n', body.indexOf('event: position'))
  return end === -1 ? null : end + 2
}

describe.each(eventSourceClients)('$name', (client) => {
  const id = client.name.replaceAll(/[ .]/g, '-')

  test.each([
    ['events', (told: string) => told === `operation-gap-${id}@0`],
    ['operations', (told: string) => told === `gap-${id}@1` || told === `gap-${id}@2`],
  ])('%s: a stream that is cut before its first message resumes where it began', async (of, isDue) => {
    let report: (() => Promise<unknown>) | null = () => live.report(`gap-${id}`, 'one')
    const proxy = await proxyTo(live, async (connection) => {
      if (connection === 0) return afterPlace
      await report?.()
      report = null
      return 'through'
    })
    const follower = following(client, `${proxy.url}/v1/${of}/stream?after=head`)
    await follower.until((told) => told.length > 0)
    expect(follower.told[0]).toSatisfy(isDue)
    follower.close()
  })

  test('cut at every byte of its first messages, a stream tells each event once and in order', {
    timeout: 120_000,
  }, async () => {
    const operation = `bytes-${id}`
    let reported = 0
    const reportUpTo = async (count: number) => {
      for (; reported < count; reported += 1) await live.report(operation, `s${reported}`)
    }
    await reportUpTo(2)
    const path = `/v1/events/stream?operation=${operation}`
    const sample = await live.open(path)
    await sample.until((messages) => messages.length >= 2)
    sample.close()
    // From the second message back to no byte at all: each connection but the first knows a place from the one before.
    const cuts = cutsIn(sample.text().slice(0, sample.text().indexOf('"revision":1')))
    const told = new Set<string>()
    const proxy = await proxyTo(live, async () => {
      const cut = cuts.pop()
      await reportUpTo(told.size + 2)
      return cut === undefined ? 'through' : () => cut
    })
    const follower = following(client, `${proxy.url}${path}`)
    await follower.until((all) => {
      for (const one of all.slice(-2)) told.add(one)
      return cuts.length === 0 && told.size > reported
    })
    follower.close()
    const expected = Array.from({ length: reported + 1 }, (_, revision) => `operation-${operation}@${revision}`)
    expect(onceEach(client, follower.told)).toEqual(expected)
  })

  test('a node that is full does not end it for good', async () => {
    const occupant = await full.open('/v1/events/stream')
    await occupant.until(() => occupant.lastId() !== '')
    const before = await turnedAway()
    const { url } = await proxyTo(full, () => 'through')
    const follower = following(client, `${url}/v1/events/stream?after=head`)
    await eventually('turned away twice', async () => ((await turnedAway()) >= before + 2 ? true : undefined))
    await full.report(`full-${id}`, 'one')
    occupant.close()
    await follower.until((told) => told.length === 2)
    expect(follower.told).toEqual([`operation-full-${id}@0`, `operation-full-${id}@1`])
    follower.close()
    await eventually('room for the next', async () => ((await streams()) === 0 ? true : undefined))
  })
})

async function metric(name: string): Promise<number> {
  const { text } = await full.send('GET', '/metrics')
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1])
}

const turnedAway = () => metric('waybill_live_streams_turned_away_total')
const streams = () => metric('waybill_live_streams{of="events"}')
