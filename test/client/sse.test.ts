import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createSseReader } from '../../src/client/sse.ts'

function readAll(pieces: readonly string[], firstId = '') {
  const reader = createSseReader(firstId)
  return { reader, messages: pieces.flatMap((piece) => reader.push(piece)) }
}

describe('reading an event stream', () => {
  test('ids, names, data of several lines, comments, fields that are not known', () => {
    const text =
      '\uFEFF: hello\nretry: 2500\nid: p1\nevent: event\ndata: {"a":\ndata:  1}\nnew: x\n\n' +
      'id: p2\n\n: heartbeat\n\ndata\n\nid:p3\ndata:x\n\nevent: operation\n\n'
    const { reader, messages } = readAll([text])
    expect(messages).toEqual([
      { event: 'event', data: '{"a":\n 1}', id: 'p1' },
      { event: 'message', data: '', id: 'p2' },
      { event: 'message', data: 'x', id: 'p3' },
    ])
    expect(reader.retryMs).toBe(2_500)
    expect(reader.lastId).toBe('p3')
  })

  test('what is cut off is not given out, and its id does not count', () => {
    for (const rest of ['id: p2\ndata: x', 'id: p2\ndata: x\n', 'id: p2\n', 'id: p']) {
      const { reader, messages } = readAll([`id: p1\ndata: a\n\n${rest}`])
      expect(messages).toEqual([{ event: 'message', data: 'a', id: 'p1' }])
      expect(reader.lastId).toBe('p1')
    }
  })

  test('an id without data is the place to resume from', () => {
    const { reader, messages } = readAll(['id: p9\n\n'], 'p1')
    expect(messages).toEqual([])
    expect(reader.lastId).toBe('p9')
  })

  test('however the text is cut and its lines are ended, the same messages come out', () => {
    const block = fc.record({ id: fc.stringMatching(/^[a-z0-9]{1,5}$/), data: fc.stringMatching(/^[^\r\n]{0,20}$/u) })
    fc.assert(
      fc.property(
        fc.array(block),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat(12), { minLength: 1 }),
        (blocks, end, sizes) => {
          const text = blocks.map(({ id, data }) => `id: ${id}${end}data: ${data}${end}${end}`).join('')
          const pieces: string[] = []
          for (let at = 0, n = 0; at < text.length; n += 1) {
            const size = 1 + (sizes[n % sizes.length] ?? 0)
            pieces.push(text.slice(at, at + size))
            at += size
          }
          const { reader, messages } = readAll([...pieces, ': the end\n'])
          expect(messages).toEqual(blocks.map(({ id, data }) => ({ event: 'message', data, id })))
          expect(reader.pending).toBe(0)
        },
      ),
    )
  })
})
