import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../projections/support/eventually.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const ask = (accept?: string) => api.send('GET', '/', undefined, accept === undefined ? {} : { accept })
const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'

describe('GET /', () => {
  test.each([undefined, '*/*', 'application/json', 'text/html;q=0.5, application/json', 'text/*;q=0, */*'])(
    'Accept: %s is answered with JSON that points to the documentation',
    async (accept) => {
      const answer = await ask(accept)
      expect([answer.status, answer.headers.vary]).toEqual([200, 'accept'])
      expect(answer.body).toMatchObject({ name: 'Waybill', version: '0.0.0-test', documentation: '/docs' })
    },
  )

  test.each([browser, 'text/html', 'text/*', 'text/html, */*;q=0.9'])(
    'Accept: %s is answered with a page',
    async (accept) => {
      const answer = await ask(accept)
      expect([answer.status, answer.headers.vary]).toEqual([200, 'accept'])
      expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
      expect(answer.text).toContain('<a href="docs">')
    },
  )

  test('what both point to is there', async () => {
    const { body } = await ask()
    const { text } = await ask(browser)
    const linked = [...text.matchAll(/href="([^"]+)"/g)].map(([, href]) => new URL(href ?? '', 'http://x/'))
    const paths = [body.documentation, body.openapi, body.readiness]
    expect(linked.map(({ pathname, search }) => pathname + search)).toEqual(paths)
    // Its readiness is asked for before the projector may have taken the projection over.
    for (const path of paths) {
      await eventually(`GET ${path} answers 200`, async () =>
        (await api.send('GET', path)).status === 200 ? true : undefined,
      )
    }
  })

  test('the page needs nothing, and may do nothing', async () => {
    const { headers, text } = await ask(browser)
    expect(headers['content-security-policy']).toBe(
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(text).not.toMatch(/<(?:script|style|link|img|iframe|form)|\s(?:style|on\w+|src)=/i)
  })

  test('a form it does not have is 406; HEAD answers as GET does', async () => {
    expect((await ask('image/png')).body).toMatchObject({ code: 'not_acceptable' })
    expect((await ask('application/json;q=0, text/html;q=0')).status).toBe(406)
    const head = await api.send('HEAD', '/')
    expect([head.status, head.headers['content-length']]).toEqual([200, (await ask()).headers['content-length']])
  })
})
