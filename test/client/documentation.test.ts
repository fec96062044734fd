import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as client from '../../src/client/client.ts'
import { type RunningService, startService } from './service.ts'

let service: RunningService

beforeAll(async () => {
  service = await startService()
})

afterAll(async () => {
  await service.close()
})

test("the page's example runs as it stands", async () => {
  const page = await readFile(new URL('../../docs/client.md', import.meta.url), 'utf8')
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(page) ?? []
  const [, names = ''] = /^import \{ (.*) \} from 'waybill\/client'$/m.exec(example) ?? []
  const body = example.replace(/^import .*$/m, `const { ${names} } = client`)
  const lines: unknown[][] = []
  const AsyncFunction = (async () => undefined).constructor as FunctionConstructor
  const run = new AsyncFunction('client', 'baseUrl', 'console', body)
  await run(client, service.url, { log: (...values: unknown[]) => lines.push(values) })
  expect(lines).toEqual([
    [0, 'OperationOpened'],
    [1, 'StatusChanged'],
    [2, 'StatusChanged'],
  ])
})
