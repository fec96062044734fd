import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'

const docs = new URL('../../docs/', import.meta.url)
const pages = (await readdir(docs, { recursive: true })).filter((path) => path.endsWith('.md'))

describe('docs', () => {
  it.each(pages)('%s links only to files that exist', async (page) => {
    const text = await readFile(new URL(page, docs), 'utf8')
    for (const [, path = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      expect(existsSync(new URL(path, new URL(page, docs))), path).toBe(true)
    }
  })

  it('list every decision', async () => {
    const list = await readFile(new URL('adr/README.md', docs), 'utf8')
    const decisions = pages.filter((page) => /^adr\/\d{4}-/.test(page)).map((page) => page.slice('adr/'.length))
    expect(decisions.length).toBeGreaterThan(4)
    for (const decision of decisions) expect(list).toContain(`(${decision})`)
  })
})
