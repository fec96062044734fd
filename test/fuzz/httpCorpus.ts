import { hostileTexts } from './corpus.ts'

// The same for what HTTP has beside bodies.

/** As they stand in a request's target: percent-encoded, or wrongly so. */
export const hostileTargets: readonly string[] = [
  ...hostileTexts.filter((text) => text.isWellFormed()).map((text) => encodeURIComponent(text)),
  ...[
    '%00',
    'a%00b',
    '%ff',
    '%c3',
    '%c0%80',
    '%ed%a0%80',
    '%zz',
    '%',
    '%4',
    '%25',
    '%2500',
    '%2f',
    '%2F..%2F',
    '%5c',
    '%0d%0a',
    '%20',
  ],
  ...[
    '.',
    '..',
    '...',
    '+',
    ';a=b',
    'a;b',
    'a,b',
    '*',
    '@',
    ':',
    '~',
    '!',
    "'",
    '(',
    '$',
    '&&',
    '=',
    '%3f',
    '%23',
    '%u0041',
    '%e2%80%a8',
  ],
  ...['{id}', ':id', '[1]', '|', '^', '`', '"', '<x>', '\\'],
]

/** Header values with nothing that ends a line. */
export const hostileHeaders: readonly string[] = [
  ...hostileTexts.filter((text) => /^[\x20-\x7e]*$/.test(text)),
  ...[
    '"0"',
    '"1"',
    '"9"',
    'W/"0"',
    '*',
    '"a"',
    '"01"',
    '"-1"',
    '"0", "1"',
    '""',
    '"99999999999999999999"',
    '"9007199254740993"',
  ],
  ...['wait=0', 'wait=-1', 'wait=00', 'wait=1e9', 'wait="0"', 'respond-async, wait=0', 'wait', 'wait=', 'WAIT=0'],
  ...[
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-00000000000000000000000000000000-0000000000000000-00',
    'ff-a',
  ],
  ...['\xe9', '\xff\xfe', '\xc3\xa9', 'a\tb', '()', '"unbalanced', 'a;b;c', ',,,', '=', ';'],
]

export const contentTypes: readonly string[] = [
  ...[
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/json;charset=UTF-8',
    'text/plain',
  ],
  ...[
    'application/json; charset="utf-8"',
    'application/json; charset=',
    'APPLICATION/JSON',
    'application/json;;;',
    'application/json, text/plain',
  ],
  ...[
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    '*/*',
  ],
  ...[
    'application/x-ndjson',
    'application/x-ndjson; charset=utf-16',
    'application/json-patch+json',
    'nonsense',
    '/',
    '',
    'json',
    'application/jsonp',
  ],
]

export const accepts: readonly string[] = [
  ...[
    '*/*',
    'application/json',
    'application/x-ndjson',
    'text/event-stream',
    'text/html',
    'application/json;q=0',
    'application/*;q=0.5',
  ],
  ...[
    'application/x-ndjson;q=0.1, application/json',
    'text/event-stream;q=0',
    '',
    ',',
    'q=1',
    'application/json;q=x',
    '*/*;q=0',
    'text/*',
  ],
]

/** What Node's parser takes; others are of the raw requests. */
export const methods: readonly string[] = [
  ...[
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
    'PURGE',
    'SEARCH',
    'M-SEARCH',
    'LINK',
    'MKCOL',
  ],
]

export const rawMethods: readonly string[] = [
  'get',
  'GeT',
  'FOO',
  'CONNECT',
  'PRI',
  '',
  ' GET',
  'GET\0',
  'G',
  'SOURCE',
  'x'.repeat(100),
]

/** Header lines no client of ours sends; some are simply odd. */
export const oddHeaders: readonly (readonly [string, string])[] = [
  ['Expect', '100-continue'],
  ['Expect', 'the unexpected'],
  ['Connection', 'close'],
  ['Connection', 'upgrade'],
  ['Connection', 'keep-alive, x'],
  ['Upgrade', 'websocket'],
  ['Upgrade', 'h2c'],
  ['Content-Encoding', 'gzip'],
  ['Content-Encoding', 'identity'],
  ['Transfer-Encoding', 'identity'],
  ['TE', 'trailers'],
  ['Range', 'bytes=0-0'],
  ['If-None-Match', '*'],
  ['If-Match', '*'],
  ['If-Modified-Since', 'Sat, 21 Nov 2026 00:00:00 GMT'],
  ['Origin', 'https://elsewhere.example'],
  ['Cookie', 'a=b; a=c; __proto__=d'],
  ['X-Forwarded-For', '1.2.3.4'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['Accept-Encoding', 'gzip'],
  ['Accept-Language', 'x'.repeat(500)],
  ['__proto__', 'a'],
  ['constructor', 'a'],
  ['X-Large', 'x'.repeat(9_000)],
  ['X-Too-Large', 'x'.repeat(17_000)],
]
