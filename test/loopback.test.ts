import { describe, expect, it } from 'vitest'
import { isLoopbackName, listensOnLoopback } from '../src/runtime/loopback.ts'

/** Of a Host header or a URL, and of what is listened on. */
const hosts: readonly (readonly [string, { readonly named: boolean; readonly listens: boolean }])[] = [
  ['localhost', { named: true, listens: true }],
  ['127.0.0.1', { named: true, listens: true }],
  ['127.8.9.10', { named: true, listens: true }],
  ['::1', { named: false, listens: true }],
  ['[::1]', { named: true, listens: false }],
  // A resolver may lead elsewhere.
  ['app.localhost', { named: true, listens: false }],
  ['localhost.', { named: true, listens: false }],
  ['127.0.0.256', { named: false, listens: false }],
  ['127.0.0.1.example', { named: false, listens: false }],
  ['0.0.0.0', { named: false, listens: false }],
  ['::', { named: false, listens: false }],
  ['notlocalhost', { named: false, listens: false }],
]

describe('this machine', () => {
  it.each(hosts)('is or is not %s', (host, expected) => {
    expect({ named: isLoopbackName(host), listens: listensOnLoopback(host) }).toEqual(expected)
  })
})
