import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decode,
  eventHash,
  noHash,
  type StoredEvent,
  seal,
  withHash,
  withoutHash,
} from '../../src/operation/envelope.ts'
import { eventId, generatedOperationId } from '../../src/operation/eventId.ts'
import { MalformedEventError, NewerSchemaError, type Upcaster, upcast } from '../../src/operation/eventSchemas.ts'
import { schemaVersion } from '../../src/operation/eventVersion.ts'
import { verifyStream } from '../../src/operation/verifyStream.ts'
import { given, linear, when } from './support/ledger.ts'
import { samples } from './support/samples.ts'

const versions = Array.from({ length: schemaVersion }, (_, index) => index + 1)

function streams(version: number): StoredEvent[][] {
  const byStream = new Map<string, StoredEvent[]>()
  for (const { stored } of samples(version))
    byStream.set(stored.stream, [...(byStream.get(stored.stream) ?? []), stored])
  return [...byStream.values()]
}

/** Types by the version that brought them in, or changed them. */
const typesOf: readonly (readonly string[])[] = [
  ['DataMerged', 'OperationOpened', 'PipelineDefined', 'ReportHeld', 'ReportIgnored', 'StatusChanged'],
  ['EventSkipped', 'StreamRetried'],
  [
    'DataMerged',
    'OperationDescribed',
    'OperationOpened',
    'PipelineDefined',
    'ReportHeld',
    'ReportIgnored',
    'StatusChanged',
  ],
]

describe.each(versions)('the recorded events of schema version %i', (version) => {
  test('are of every type that came or changed with it', () => {
    const types = new Set(samples(version).map(({ stored }) => stored.type))
    expect([...types].sort()).toEqual(typesOf[version - 1])
  })

  test('are read as what they say', () => {
    for (const { stored, event } of samples(version)) {
      const { metadata, meta, ...decoded } = decode(stored)
      assert.deepStrictEqual(decoded, event)
      expect(metadata).toEqual(JSON.parse(stored.metadata))
      expect(meta).toMatchObject({
        operation: metadata.$correlationId,
        command: metadata.command,
        revision: stored.revision,
        hash: metadata.hash,
        dataBytes: Buffer.byteLength(stored.data),
      })
    }
  })

  test('still verify', () => {
    for (const stream of streams(version)) expect(verifyStream(stream)).toMatchObject({ kind: 'intact' })
  })
})

test('sealing an event again gives the recorded bytes', () => {
  for (const stream of versions.flatMap(streams)) {
    let previousHash = noHash
    const keys = new Map<string, number>()
    for (const stored of stream) {
      const { metadata } = decode(stored)
      const { command, requestHash, actor, traceparent } = metadata
      const keyIndex = keys.get(command) ?? 0
      keys.set(command, keyIndex + 1)
      const { event, hash } = seal({
        stream: stored.stream,
        revision: stored.revision,
        previousHash,
        type: stored.type,
        data: stored.data,
        dataBytes: Buffer.byteLength(stored.data),
        recorder: { key: command, requestHash, actor, ...(traceparent === undefined ? {} : { traceparent }) },
        keyIndex,
        correlation: metadata.$correlationId,
        causation: metadata.$causationId,
        recordedAt: metadata.recordedAt,
        schemaVersion: metadata.schemaVersion,
      })
      expect({ ...event, stream: stored.stream, revision: stored.revision }).toEqual(stored)
      previousHash = hash
    }
  }
})

describe('the hash', () => {
  test('is SHA-256 over the six fields, each with its length in bytes', () => {
    const stored = samples(1)[1]?.stored
    assert.ok(stored !== undefined)
    const split = withoutHash(stored.metadata)
    assert.ok(split !== null)
    const fields = [stored.stream, '0', noHash, stored.type, stored.data, split.metadata]
    const input = Buffer.concat(
      fields.flatMap((field) => [Buffer.from(`${Buffer.byteLength(field)}:`), Buffer.from(field), Buffer.from(',')]),
    )
    expect(split.hash).toBe(createHash('sha256').update(input).digest('hex'))
  })

  test('counts bytes in every field, not characters', () => {
    const recorder = { key: 'k', requestHash: 'r', actor: 'Zoë €' }
    const [data, stream] = ['{"x":"ß"}', 'operation-a']
    const sealed = seal({
      stream,
      revision: 12n,
      previousHash: noHash,
      type: 'T',
      data,
      dataBytes: Buffer.byteLength(data),
      recorder,
      keyIndex: 0,
      correlation: 'a',
      causation: 'k',
      recordedAt: '2026-01-01T00:00:00.000Z',
    })
    const metadata = withoutHash(sealed.event.metadata)?.metadata ?? ''
    const input = [stream, '12', noHash, 'T', data, metadata].map((field) => `${Buffer.byteLength(field)}:${field},`)
    expect(metadata).toContain('Zoë €')
    expect(sealed.hash).toBe(createHash('sha256').update(input.join('')).digest('hex'))
  })

  test('tells fields apart that would read the same one after the other', () => {
    const base = {
      stream: 'operation-a',
      revision: 1n,
      previousHash: noHash,
      type: 'T',
      data: '{}',
      dataBytes: 2,
      metadata: '{}',
    }
    const hashes = [
      base,
      { ...base, stream: 'operation-a,1:1', revision: 1n },
      { ...base, stream: 'operation-', type: 'aT' },
      { ...base, data: '{},2:{}', dataBytes: 7, metadata: '' },
    ].map(eventHash)
    expect(new Set(hashes).size).toBe(4)
  })

  test('is split from the metadata exactly as it was added', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (members) => {
        const metadata = JSON.stringify(members)
        const hash = 'ab'.repeat(32)
        expect(withoutHash(withHash(metadata, hash))).toEqual({ metadata, hash })
      }),
    )
    expect(withoutHash('{"a":1}')).toBeNull()
    expect(withoutHash(`{"a":1,"hash":"${'AB'.repeat(32)}"}`)).toBeNull()
    expect(withoutHash(`{"a":1,"hash":"${'ab'.repeat(32)}"} `)).toBeNull()
  })
})

describe('verifying a stream', () => {
  const ledger = given(linear('hold'), { status: 'b', data: { text: 'größer' } }, 'a', { status: 'b', data: { x: 1 } })
  const stream = ledger.events

  test('finds any byte that was flipped, in any field', () => {
    const field = fc.constantFrom<(keyof StoredEvent)[]>('type', 'data', 'metadata', 'id', 'stream')
    fc.assert(
      fc.property(fc.nat(stream.length - 1), field, fc.nat(), fc.nat(7), (place, name, at, bit) => {
        const changed = stream.map((event, index) => {
          if (index !== place) return event
          const bytes = Buffer.from(String(event[name]))
          const target = at % bytes.length
          bytes[target] = (bytes[target] ?? 0) ^ (1 << bit)
          return { ...event, [name]: bytes.toString('utf8') }
        })
        expect(verifyStream(changed)).toMatchObject({ kind: 'broken', revision: stream[place]?.revision })
      }),
      { numRuns: 1_000 },
    )
  })

  test('says what does not hold', () => {
    const [first, second] = stream
    assert.ok(first !== undefined && second !== undefined)
    /** With its hash made anew over what it says now. */
    const resealed = (event: StoredEvent, metadata: string, previousHash: string): StoredEvent => {
      const { stream: of, revision, type, data } = event
      const dataBytes = Buffer.byteLength(data)
      return {
        ...event,
        metadata: withHash(
          metadata,
          eventHash({ stream: of, revision, previousHash, type, data, dataBytes, metadata }),
        ),
      }
    }
    const bare = withoutHash(first.metadata)?.metadata ?? expect.unreachable()
    const reasonOf = (event: StoredEvent) => verifyStream([event])
    const broken = (reason: string) => ({ kind: 'broken', revision: 0n, reason })
    expect(reasonOf({ ...first, metadata: '{}' })).toEqual(broken('its metadata does not end in a hash'))
    expect(reasonOf({ ...first, data: '{}' })).toEqual(broken('its hash is not that of its bytes and its predecessor'))
    const unlinked = broken("its previousHash is not its predecessor's hash")
    expect(reasonOf(resealed(first, bare.replace(noHash, 'f'.repeat(64)), noHash))).toEqual(unlinked)
    for (const metadata of ['{"command":"k1"}', '7}', '{"command":1,"previousHash":2}', 'null}']) {
      expect(reasonOf(resealed(first, metadata, noHash))).toEqual(unlinked)
    }
    expect(reasonOf({ ...first, id: second.id })).toEqual(broken('its id is not that of its stream and key'))
  })

  test('finds events that were taken out, put in, swapped or moved', () => {
    const [first, second, third] = stream
    assert.ok(first !== undefined && second !== undefined && third !== undefined)
    const missing = (revision: number) => `revision ${revision} is missing before it`
    expect(verifyStream([first, third])).toEqual({ kind: 'broken', revision: 2n, reason: missing(1) })
    expect(verifyStream([second, third])).toEqual({ kind: 'broken', revision: 1n, reason: missing(0) })
    expect(verifyStream([first, first])).toEqual({ kind: 'broken', revision: 0n, reason: missing(1) })
    expect(verifyStream([first, third, second])).toMatchObject({ kind: 'broken' })
    const moved = [first, { ...third, revision: 1n }, { ...second, revision: 2n }]
    expect(verifyStream(moved)).toMatchObject({ kind: 'broken', revision: 1n })
  })

  test('finds a forger who hashed anew what he changed, at the event after', () => {
    const forged = stream.map((event, index) => {
      if (index !== 1) return event
      const split = withoutHash(event.metadata)
      assert.ok(split !== null)
      const data = event.data.replace('"b"', '"a"')
      const previous = withoutHash(stream[0]?.metadata ?? '')?.hash ?? ''
      const { stream: name, revision, type } = event
      const dataBytes = Buffer.byteLength(data)
      const hash = eventHash({
        stream: name,
        revision,
        previousHash: previous,
        type,
        data,
        dataBytes,
        metadata: split.metadata,
      })
      return { ...event, data, metadata: withHash(split.metadata, hash) }
    })
    expect(verifyStream(forged)).toMatchObject({ kind: 'broken', revision: 2n })
  })

  /** An event sealed by someone who knows how, but not where the stream stands. */
  function forgery(revision: bigint, previousHash: string, said: string): StoredEvent {
    const name = 'operation-op-1'
    const metadata = JSON.stringify({ command: 'forged', previousHash: said })
    const sealed = { stream: name, revision, previousHash, type: 'T', data: '{}', dataBytes: 2, metadata }
    const id = eventId(name, 'forged', 0)
    return { stream: name, revision, id, type: 'T', data: '{}', metadata: withHash(metadata, eventHash(sealed)) }
  }

  test('finds a revision that was left out by whoever sealed what follows', () => {
    const { lastHash, revision } = ledger.current
    expect(verifyStream([...stream, forgery(revision + 1n, lastHash, lastHash)])).toMatchObject({ kind: 'intact' })
    expect(verifyStream([...stream, forgery(revision + 2n, lastHash, lastHash)])).toMatchObject({ kind: 'broken' })
  })

  test('finds metadata that name another predecessor than was hashed', () => {
    const { lastHash, revision } = ledger.current
    const told = forgery(revision + 1n, lastHash, noHash)
    expect(verifyStream([...stream, told])).toMatchObject({
      kind: 'broken',
      reason: expect.stringContaining('previousHash'),
    })
  })

  test('can be done in stretches, each going on where the one before ended', () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const head = verifyStream(stream.slice(0, cut))
      assert.ok(head.kind === 'intact')
      expect(verifyStream(stream.slice(cut), head.end)).toMatchObject({
        kind: 'intact',
        end: { revision: BigInt(stream.length - 1), hash: ledger.current.lastHash },
      })
    }
    expect(verifyStream([])).toEqual({ kind: 'intact', end: null })
  })

  test('wants the revisions without a gap across stretches', () => {
    const head = verifyStream(stream.slice(0, 1))
    assert.ok(head.kind === 'intact')
    expect(verifyStream(stream.slice(2), head.end)).toMatchObject({ kind: 'broken' })
  })
})

describe('event ids', () => {
  test('are UUIDs of version 8 that follow from stream, key and number', () => {
    const id = eventId('operation-1', 'key', 0)
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(eventId('operation-1', 'key', 0)).toBe(id)
    const others = [
      eventId('operation-2', 'key', 0),
      eventId('operation-1', 'kex', 0),
      eventId('operation-1', 'key', 1),
    ]
    expect(new Set([id, ...others]).size).toBe(4)
  })

  test('of one stream share their beginning, of different streams they do not', () => {
    const prefixes = new Set(
      Array.from({ length: 200 }, (_, index) => eventId('operation-1', `k${index}`, 0).slice(0, 8)),
    )
    expect(prefixes.size).toBe(1)
    const streams = Array.from({ length: 200 }, (_, index) => eventId(`operation-${index}`, 'k', 0).slice(0, 8))
    expect(new Set(streams).size).toBeGreaterThan(190)
  })

  test('stay as they were recorded: a change would take old retries for new commands', () => {
    expect(eventId('operation-1', 'key', 0)).toBe('21872b80-779e-8897-a970-19bcc38618f4')
    expect(generatedOperationId('actor', 'key')).toBe('70e392f9-2d61-50a4-b07d-18e8db91f426')
  })

  test('of generated operations are UUIDs of version 5 that follow from actor and key', () => {
    const id = generatedOperationId('actor', 'key')
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new Set([id, generatedOperationId('actor', 'kex'), generatedOperationId('acto', 'rkey')]).size).toBe(3)
  })
})

describe('decoding', () => {
  const stored = samples(1)[1]?.stored
  assert.ok(stored !== undefined)
  const metadata: Record<string, unknown> = JSON.parse(stored.metadata)
  const withMetadata = (change: object): StoredEvent => ({
    ...stored,
    metadata: JSON.stringify({ ...metadata, ...change }),
  })
  const withData = (change: object): StoredEvent => ({
    ...stored,
    data: JSON.stringify({ ...JSON.parse(stored.data), ...change }),
  })

  test.each([
    ['data that is not JSON', { ...stored, data: '{' }],
    ['data that is no object', { ...stored, data: '[]' }],
    ['metadata that is not JSON', { ...stored, metadata: '' }],
    ['an unknown type', { ...stored, type: 'OperationClosed' }],
    ['a type that every object has', { ...stored, type: 'constructor' }],
    ['a member too many', withData({ colour: 'red' })],
    ['a member of another kind', withData({ theme: 7 })],
    ['data that is no document', withData({ data: [] })],
    ['metadata without a key', withMetadata({ command: undefined })],
    ['metadata with a member too many', withMetadata({ extra: 1 })],
    ['a schema version below the first', withMetadata({ schemaVersion: 0 })],
  ])('sets aside %s', (_what, event) => {
    expect(() => decode(event)).toThrow(MalformedEventError)
  })

  test('has metadata in which each member is there, of its type, and no other', () => {
    const { traceparent: _, ...least } = metadata
    const read = (members: object) => decode({ ...stored, metadata: JSON.stringify(members) }).metadata
    const traced = { ...least, traceparent: '00-1' }
    expect(read(traced)).toEqual(traced)
    expect(read(least)).toEqual(least)
    for (const name of Object.keys(least)) {
      const without = { ...least, [name]: undefined }
      for (const wrong of [without, { ...without, other: 'x' }, { ...without, traceparent: 'x' }]) {
        expect(() => read(wrong), name).toThrow(MalformedEventError)
      }
      for (const value of [null, true, [], {}, name === 'schemaVersion' ? '1' : 1]) {
        expect(() => read({ ...least, [name]: value }), name).toThrow(MalformedEventError)
      }
    }
    const more = [{ other: 1 }, { traceparent: 1 }, { traceparent: null }, { schemaVersion: 0 }, { schemaVersion: 0.5 }]
    const digests = ['', 'A'.repeat(64), 'a'.repeat(63), `${'a'.repeat(64)}\n`]
    for (const wrong of [...more, ...digests.flatMap((hash) => [{ hash }, { previousHash: hash }])]) {
      expect(() => read({ ...least, ...wrong }), JSON.stringify(wrong)).toThrow(MalformedEventError)
    }
  })

  test.each([
    ['StatusChanged', { from: null, to: 'a' }, { from: [7, {}], to: [null, 7], final: [null, 'ended', 7] }],
    ['DataMerged', { status: 'a' }, { status: [null, 7] }],
  ])('has data of %s in which each member is there, of its type, and no other', (type, own, wrongOwn) => {
    const facts = { track: 'main', service: 'scan' }
    const more = { sequence: 0, observedAt: '2026-01-01T00:00:00.000Z', data: { a: null }, metadata: {} }
    const read = (members: object) => decode({ ...stored, type, data: JSON.stringify(members) }).data
    const least = { ...facts, ...own }
    expect(read(least)).toEqual(least)
    for (const [name, value] of Object.entries(more)) {
      const grown = { ...least, [name]: value }
      expect(read(grown)).toEqual(grown)
      // One member is missing, and another makes up for it.
      for (const missing of Object.keys(least)) {
        expect(() => read({ ...grown, [missing]: undefined }), missing).toThrow(MalformedEventError)
      }
    }
    expect(read({ ...least, ...more })).toEqual({ ...least, ...more })
    const wrong = {
      track: [null, 7],
      service: [null, 7],
      sequence: [-1, 0.5, 2 ** 53, '1', null],
      observedAt: [7, null],
      data: [[], null, 'x'],
      metadata: [[], null, 7],
      other: [1],
      ...wrongOwn,
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values ?? []) {
        expect(() => read({ ...least, [name]: value }), `${name} ${JSON.stringify(value)}`).toThrow(MalformedEventError)
      }
    }
  })

  test('waits for the upgrade when a newer node wrote it, whatever its type and members', () => {
    const newer = withMetadata({ schemaVersion: schemaVersion + 1, extra: 1 })
    expect(() => decode(newer)).toThrow(NewerSchemaError)
    expect(() => decode({ ...newer, type: 'OperationClosed' })).toThrow(NewerSchemaError)
  })

  test('says nothing of the documents when it fails', () => {
    const secret = withData({ data: ['secret'], theme: ['secret'] })
    expect(() => decode(secret)).toThrow(/^event 0 of operation-demo-1 \(OperationOpened\) is malformed at /)
    expect(() => decode(secret)).not.toThrow(/secret/)
  })

  test('keeps members of documents that schemas might drop', () => {
    const text = '{"pipeline":{"name":"p","version":1},"theme":null,"data":{"__proto__":{"x":1}},"metadata":{}}'
    const decoded = decode({ ...stored, data: text })
    expect(JSON.stringify(decoded.data)).toBe(text)
  })
})

describe('upcasting', () => {
  const steps = new Map<number, Upcaster>([
    [1, (data) => ({ ...data, one: true })],
    [3, (data) => ({ ...data, three: true })],
  ])
  const known = new Map([['Old', steps]])

  test('takes the steps from the version recorded to the one wanted, where there are any', () => {
    expect(upcast('Old', {}, 1, 4, known)).toEqual({ one: true, three: true })
    expect(upcast('Old', {}, 2, 4, known)).toEqual({ three: true })
    expect(upcast('Old', {}, 1, 3, known)).toEqual({ one: true })
    expect(upcast('Other', { x: 1 }, 1, 4, known)).toEqual({ x: 1 })
  })
})

test('a report that releases another seals both under their own keys and its own cause', () => {
  const ledger = given(linear('hold'), 'b')
  when(ledger, 'a')
  const metadata = ledger.events.slice(2).map((event) => decode(event).metadata)
  expect(metadata.map(({ command, $causationId, $correlationId }) => [command, $causationId, $correlationId])).toEqual([
    ['k3', 'k3', 'op-1'],
    ['k2', 'k3', 'op-1'],
  ])
})
