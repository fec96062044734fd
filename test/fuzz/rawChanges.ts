import fc, { type Arbitrary } from 'fast-check'
import { hostileBytes } from './corpus.ts'
import { rawMethods } from './httpCorpus.ts'
import type { RawChange } from './wire.ts'

const hostilePiece = fc.constantFrom(...hostileBytes)
/** Some bytes in place of others, anywhere. */
export const splice = fc.record({ at: fc.nat(3_000), remove: fc.nat(3), insert: hostilePiece })

/** What makes of a request something that need be none. */
export const rawChange: Arbitrary<RawChange> = fc.oneof(
  splice.map((change) => ({ kind: 'splice' as const, ...change })),
  fc.nat(1_000).map((at) => ({ kind: 'truncate' as const, at })),
  fc.constantFrom(...rawMethods).map((method) => ({ kind: 'method' as const, method })),
  fc
    .constantFrom(
      'HTTP/1.0',
      'HTTP/0.9',
      'HTTP/1.2',
      'HTTP/2.0',
      'http/1.1',
      'HTTP/1.1 ',
      'HTTP/11',
      '',
      'HTTP',
      'ICE/1.0',
    )
    .map((version) => ({ kind: 'version' as const, version })),
  fc
    .constantFrom(
      'no colon',
      'A : b',
      ': b',
      'A\0: b',
      'A: b\0c',
      ' folded',
      '\tfolded',
      'A: b\r\n folded',
      'A: b\rC: d',
      'A: \x7f',
      'Ä: b',
      'Content-Length: 0',
      'Content-Length: -1',
      'Content-Length: +2',
      'Content-Length: 0x2',
      'Content-Length: 2, 2',
      'Content-Length:',
      'Content-Length: 99999999999999999999',
      'Content-Length: 5',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding: chunked, chunked',
      'Transfer-Encoding: xchunked',
      'Transfer-Encoding : chunked',
      'Transfer-Encoding: \x0bchunked',
      'Host: another',
      'Host:',
      'HOST: fuzz',
      'Authorization: Bearer {{operator}}',
      'Idempotency-Key: two',
      'If-Match: "3"',
      'Content-Type: text/plain',
      'Connection: keep-alive, Content-Type',
      'Trailer: Authorization',
      `A: ${'b'.repeat(20_000)}`,
      Array.from({ length: 3_000 }, (_, n) => `a${n}: b`).join('\r\n'),
    )
    .map((line) => ({ kind: 'line' as const, line })),
  fc.constant({ kind: 'lineFeeds' as const }),
  fc.constant({ kind: 'withoutHost' as const }),
  fc
    .constantFrom(
      '\r\n',
      '\r\n\r\n\r\n',
      '\n',
      ' ',
      '\0',
      '\x16\x03\x01\x02\x00\x01\x00',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      'GET /livez\r\n',
    )
    .map((bytes) => ({ kind: 'before' as const, bytes })),
  fc
    .constantFrom(
      '',
      '0;a=b\r\n\r\n',
      'zz\r\na\r\n',
      '-1\r\na\r\n',
      'ffffffffffffffffff\r\na\r\n',
      '1\r\nab\r\n',
      '1 \r\na\r\n',
      '1;a="b\r\n"\r\na\r\n',
      '1\na\n',
      '5\r\na',
      '+1\r\na\r\n',
    )
    .map((chunk) => ({ kind: 'chunked' as const, chunk })),
)
