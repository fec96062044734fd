// What `npm run test:proxy` would find after minutes, or not at all: that the proxies' examples fit the service's defaults.
import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { defaultApiLimits } from '../../src/api/limits.ts'

const root = new URL('../../', import.meta.url)
const read = (name: string) => readFile(new URL(name, root), 'utf8')
const nginx = await read('docs/security/nginx.conf')
const haproxy = await read('docs/security/haproxy.cfg')

const secondsOf = (text: string, setting: string) =>
  Number(new RegExp(`^\\s*${setting} (\\d+)s;?$`, 'm').exec(text)?.[1])

describe('the examples of docs/security', () => {
  it.each([
    ['nginx.conf', nginx, ['client_body_timeout', 'send_timeout', 'proxy_read_timeout', 'proxy_send_timeout']],
    ['haproxy.cfg', haproxy, ['timeout client', 'timeout server']],
  ])('%s waits longer than the service does by default', (_name, text, settings) => {
    const { waitSMax, streamHeartbeatS, bulkIdleMsMax, bodyArrivalMsMax } = defaultApiLimits
    const longest = Math.max(waitSMax, streamHeartbeatS, bulkIdleMsMax / 1_000, bodyArrivalMsMax / 1_000)
    for (const setting of settings) expect(secondsOf(text, setting), setting).toBeGreaterThan(longest)
  })

  it('has nginx give up unused connections before the service does', () => {
    const upstream = /upstream waybill \{[^}]*\}/.exec(nginx)?.[0] ?? ''
    // Fastify's default, which the service keeps.
    expect(secondsOf(upstream, 'keepalive_timeout')).toBeLessThan(72)
  })

  it('are linked from the page, and each is run', async () => {
    const page = await read('docs/security.md')
    const programs = await read('scripts/proxies/programs.mjs')
    const files = await readdir(new URL('docs/security/', root))
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) {
      expect(page).toContain(`(security/${file})`)
      expect(programs).toContain(`example('${file}')`)
    }
  })
})
