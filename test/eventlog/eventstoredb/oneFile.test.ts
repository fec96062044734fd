import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const src = fileURLToPath(new URL('../../../src/', import.meta.url))

it('one file imports the client of EventStoreDB, so that its successor takes its place there', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const importing = files.filter((name) =>
    /from '(?:@eventstore\/|@kurrent\/|@grpc\/)/.test(readFileSync(join(src, name), 'utf8')),
  )
  expect(importing).toEqual([join('eventlog', 'eventstoredb', 'client.ts')])
})
