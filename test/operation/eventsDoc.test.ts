import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { StoredEvent } from '../../src/operation/envelope.ts'
import { samples } from './support/samples.ts'

const page = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')

function block(language: string, containing: string): string {
  const blocks = [...page.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, name]) => name === language)
  const found = blocks.find(([, , text]) => text?.includes(containing))?.[2]
  assert.ok(found !== undefined, `docs/events.md has a ${language} block with ${containing}`)
  return found
}

const stream = samples(1)
  .map(({ stored }) => stored)
  .filter(({ stream: name }) => name === 'operation-demo-1')

test('the hash that docs/events.md works out by hand is that of a recorded event', () => {
  const shell = block('sh', 'sha256sum')
  const input = [...shell.matchAll(/^ {2}'(.*)' \\$/gm)].map(([, part]) => part).join('')
  const hash = createHash('sha256').update(input).digest('hex')
  expect(shell).toContain(`# ${hash}  -`)
  expect(JSON.parse(stream[0]?.metadata ?? '').hash).toBe(hash)
  for (const text of [stream[0]?.data, stream[0]?.metadata]) expect(page).toContain(text)
})

test('the script in docs/events.md finds a stream intact, and finds what was changed', async () => {
  const run = promisify(execFile)
  const directory = mkdtempSync(join(tmpdir(), 'waybill-events-doc-'))
  const script = join(directory, 'verify.mjs')
  writeFileSync(script, block('js', 'createHash'))
  let served = stream
  const server = createServer((request, response) => {
    const fromRevision = Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('fromRevision'))
    response.end(
      `{"events":[${served
        .slice(fromRevision, fromRevision + 2)
        .map(eventText)
        .join(',')}],"next":"x"}`,
    )
  })
  try {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const env = { ...process.env, WAYBILL_URL: `http://127.0.0.1:${address.port}` }
    const { stdout } = await run(process.execPath, [script, 'demo-1'], { env })
    const last = JSON.parse(stream.at(-1)?.metadata ?? '').hash
    expect(stdout).toBe(`demo-1: ${stream.length} events, intact, last hash ${last}\n`)
    served = stream.map((event, index) => (index === 2 ? { ...event, data: event.data.replace('3', '4') } : event))
    await expect(run(process.execPath, [script, 'demo-1'], { env })).rejects.toThrow('broken at revision 2')
  } finally {
    server.close()
    rmSync(directory, { recursive: true })
  }
})

/** As the API answers it: the stored texts byte for byte. */
function eventText({ stream: name, revision, id, type, data, metadata }: StoredEvent): string {
  return `{"stream":"${name}","revision":${revision},"position":"p","id":"${id}","type":"${type}","data":${data},"metadata":${metadata}}`
}
