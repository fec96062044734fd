import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { JsonObject } from '../../src/operation/json.ts'
import type { SnapshotStore } from '../../src/snapshots/snapshotStore.ts'
import { plainState } from '../operation/support/plainState.ts'
import { createFaultyEventLog } from './faultyEventLog.ts'
import { accepted, codeOf, createNode, definePipeline, holding, type Node, report } from './node.ts'

const snapshotEvery = 10

/** Texts by operation. */
function createStore() {
  const texts = new Map<string, string>()
  const store: SnapshotStore = {
    read: async (operation) => texts.get(operation) ?? null,
    write: async ({ operation, text }) => void texts.set(operation, text),
  }
  return { texts, store }
}

/** A node that has just been started over the log of another. */
function another({ log }: Node, snapshots?: SnapshotStore): Node {
  return createNode(log, { snapshotEvery }, snapshots === undefined ? {} : { snapshots })
}

async function reports(node: Node, count: number, from = 0): Promise<void> {
  for (let n = from; n < from + count; n += 1) {
    const body = { pipeline: 'any', data: { last: n, all: { [`s${n % 7}`]: n } } }
    accepted(await node.commands.submit(report('op-1', `key-${n}`, `status-${n % 5}`, body)))
  }
}

async function stateOf(node: Node, operation = 'op-1') {
  const loaded = await node.commands.load(operation)
  if (loaded === null) throw new Error('no such operation')
  return { ...loaded, state: plainState(loaded.state) }
}

describe('a snapshot', () => {
  it('is read on from: the operation comes out as folded from its beginning, with fewer events read', async () => {
    const { store } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 95)
    const [fresh, whole] = [another(node, store), another(node)]
    expect(await stateOf(fresh)).toEqual(await stateOf(whole))
    expect(await stateOf(fresh)).toEqual(await stateOf(node))
    expect(fresh.log.eventsRead).toBeLessThanOrEqual(2 * snapshotEvery + 1)
    expect(whole.log.eventsRead).toBe(96)
  })

  it('is read on from over several pages', async () => {
    const { store } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 45)
    const plain = another(node)
    await Promise.all(
      Array.from({ length: 1_100 }, (_, n) => plain.commands.submit(report('op-1', `late-${n}`, `status-${n}`))),
    )
    const fresh = another(node, store)
    const { state } = await stateOf(fresh)
    expect(state).toEqual((await stateOf(plain)).state)
    // The first page tells that the operation is long; the snapshot ends at revision 39, which is read again.
    expect(fresh.log.eventsRead).toBe(snapshotEvery + 1 + Number(state.revision) - 39)
  })

  it('knows all keys: a duplicate of any age gets its first answer, and appends nothing', async () => {
    const { store } = createStore()
    const node = createNode(undefined, { snapshotEvery, receiptsMax: 5 }, { snapshots: store })
    await reports(node, 60)
    const fresh = another(node, store)
    const before = await node.log.head()
    for (const n of [0, 31, 58, 59]) {
      const body = { pipeline: 'any', data: { last: n, all: { [`s${n % 7}`]: n } } }
      const again = report('op-1', `key-${n}`, `status-${n % 5}`, body)
      expect(await fresh.commands.submit(again)).toEqual(await node.commands.submit(again))
    }
    expect(codeOf(await fresh.commands.submit(report('op-1', 'key-3', 'else')))).toBe('key_reused')
    expect(await node.log.head()).toBe(before)
  })

  it('holds held reports, tracks and pipelines: any history goes on as without it', async () => {
    const document = fc
      .dictionary(fc.string(), fc.jsonValue())
      .map((value): JsonObject => JSON.parse(JSON.stringify(value)))
    const statuses = fc.constantFrom('new', 'read', 'checked', 'done')
    const step = fc.record({
      key: fc.nat({ max: 40 }),
      status: statuses,
      data: document,
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 2, maxLength: 60 }),
        fc.integer({ min: 2, max: 9 }),
        async (steps, every) => {
          const { store } = createStore()
          const limits = { snapshotEvery: every }
          const node = createNode(undefined, limits)
          await definePipeline(node, 'patient', holding)
          const operation = 'op-1'
          for (const { key, status, data } of steps) {
            const command = report(operation, `key-${key}`, status, { pipeline: 'patient', data })
            // Each command on a node that has nothing in memory, with snapshots and without.
            const [kept, plain] = [createNode(node.log, limits, { snapshots: store }), createNode(node.log, limits)]
            const answer = await kept.commands.submit(command)
            const again = await plain.commands.submit(command)
            expect(codeOf(again)).toBe(codeOf(answer))
            expect(await stateOf(kept)).toEqual(await stateOf(plain))
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is not written before the operation has grown, and again each time it has', async () => {
    const { store, texts } = createStore()
    const written: bigint[] = []
    const counting = {
      ...store,
      write: (snapshot: Parameters<SnapshotStore['write']>[0]) => {
        written.push(snapshot.revision)
        return store.write(snapshot)
      },
    }
    const node = createNode(undefined, { snapshotEvery }, { snapshots: counting })
    await reports(node, snapshotEvery - 2)
    expect(texts.size).toBe(0)
    await reports(node, 40, snapshotEvery)
    expect(written).toEqual([9n, 19n, 29n, 39n])
  })

  it('is not written by a node that reads on from one, until it has grown again', async () => {
    const { store, texts } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 45)
    const kept = texts.get('op-1')
    const fresh = another(node, store)
    await reports(fresh, 3, 100)
    expect(texts.get('op-1')).toBe(kept)
    await reports(fresh, 5, 200)
    expect(texts.get('op-1')).not.toBe(kept)
  })
})

describe('what is wrong with a snapshot', () => {
  const wrong: Readonly<Record<string, (texts: Map<string, string>) => SnapshotStore['read']>> = {
    'it is no JSON': () => async () => '{"snapshotVersion":1',
    'it is of another version': (texts) => async (id) =>
      (texts.get(id) ?? '').replace('"snapshotVersion":1', '"snapshotVersion":2'),
    'its state is of another version': (texts) => async (id) =>
      (texts.get(id) ?? '').replace(/stateVersion\\":\d+/, 'stateVersion\\":99'),
    'its pipeline is not defined': (texts) => async (id) =>
      (texts.get(id) ?? '').replace('"name":"any"', '"name":"gone"'),
    'its hash is not that of the event': (texts) => async (id) =>
      (texts.get(id) ?? '').replace(/lastHash\\":\\"[0-9a-f]{64}/, `lastHash\\":\\"${'0'.repeat(64)}`),
    'its position is not that of the event': (texts) => async (id) =>
      (texts.get(id) ?? '').replace(/"position":"\d+"/, '"position":"7"'),
    'it goes beyond the stream': (texts) => async (id) =>
      (texts.get(id) ?? '').replace(/revision\\":\\"\d+/, 'revision\\":\\"900'),
    'it cannot be read': () => async () => {
      throw new Error('planted')
    },
  }

  it.each(Object.keys(wrong))('%s: the stream is read from its beginning', async (name) => {
    const { store, texts } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 45)
    const read = (wrong[name] ?? expect.unreachable())(texts)
    expect(await read('op-1').catch(() => '')).not.toBe(texts.get('op-1'))
    const fresh = another(node, { ...store, read })
    expect(await stateOf(fresh)).toEqual(await stateOf(node))
    await reports(fresh, 2, 500)
  })

  it.each([
    ['it is no JSON', { err: expect.any(SyntaxError) }, 'a snapshot cannot be read'],
    ['it cannot be read', { err: new Error('planted') }, 'a snapshot cannot be read'],
    [
      'it goes beyond the stream',
      { err: expect.objectContaining({ message: expect.stringContaining('is not the event') }), operation: 'op-1' },
      'a snapshot does not fit its stream: read from the beginning',
    ],
  ])('%s: that is logged', async (name, fields, message) => {
    const { store, texts } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 45)
    const warn = vi.fn()
    const read = (wrong[name] ?? expect.unreachable())(texts)
    const parts = { snapshots: { ...store, read }, logger: { warn, error: warn } }
    const fresh = createNode(node.log, { snapshotEvery }, parts)
    await stateOf(fresh)
    expect(warn.mock.calls).toEqual([[fields, message]])
  })

  it('its hash is not that of the event, and no event follows that would show it', async () => {
    const { store, texts } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 39)
    const read = (wrong['its hash is not that of the event'] ?? expect.unreachable())(texts)
    const { state } = await stateOf(another(node, { ...store, read }))
    expect(state.revision).toBe(39n)
    expect(state).toEqual((await stateOf(node)).state)
  })

  it('a store that takes none is left alone for a while, and commands go on', async () => {
    let tries = 0
    let nowMs = 0
    const store: SnapshotStore = {
      read: async () => null,
      write: async () => {
        tries += 1
        throw new Error('planted')
      },
    }
    const warn = vi.fn()
    const parts = { monotonicMs: () => nowMs, snapshots: store, logger: { warn, error: warn } }
    const node = createNode(undefined, { snapshotEvery }, parts)
    await reports(node, 60)
    expect(tries).toBe(1)
    nowMs += 9_999
    await reports(node, 30, 100)
    expect(tries).toBe(1)
    nowMs += 1
    await reports(node, 30, 200)
    expect(tries).toBe(2)
    const logged = [{ err: new Error('planted') }, 'snapshots cannot be written']
    expect(warn.mock.calls).toEqual([logged, logged])
  })

  it('a store that hangs holds up nothing but snapshots', async () => {
    let tries = 0
    const store: SnapshotStore = {
      read: async () => null,
      write: () => {
        tries += 1
        return new Promise(() => undefined)
      },
    }
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 200)
    expect(tries).toBe(1)
  })

  it('a log that does not answer is said as ever', async () => {
    const { store } = createStore()
    const node = createNode(undefined, { snapshotEvery }, { snapshots: store })
    await reports(node, 45)
    const fresh = createNode(createFaultyEventLog(node.log), { snapshotEvery }, { snapshots: store })
    fresh.log.readsFail = true
    expect(codeOf(await fresh.commands.submit(report('op-1', 'late', 'x')))).toBe('log_unavailable')
  })
})
