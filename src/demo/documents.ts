import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { isObject, type Json, type JsonObject } from './json.ts'

const require = createRequire(import.meta.url)

/** A real webhook payload, as GitHub sent it. */
export interface SampleDocument {
  /** `issues`, `push`, ... */
  readonly event: string
  readonly payload: JsonObject
  /** UTF-8 bytes of the payload as JSON. */
  readonly bytes: number
}

/** All payloads of @octokit/webhooks-examples for api.github.com: some 300 documents of 1 to 27 kB. */
export async function loadDocuments(): Promise<readonly [SampleDocument, ...SampleDocument[]]> {
  const file = require.resolve('@octokit/webhooks-examples/api.github.com/index.json')
  const kinds: Json = JSON.parse(await readFile(file, 'utf8'))
  const documents: SampleDocument[] = []
  for (const kind of Array.isArray(kinds) ? kinds : []) {
    if (!isObject(kind) || typeof kind.name !== 'string' || !Array.isArray(kind.examples)) continue
    for (const payload of kind.examples) {
      if (isObject(payload)) {
        documents.push({ event: kind.name, payload, bytes: Buffer.byteLength(JSON.stringify(payload)) })
      }
    }
  }
  const [first, ...rest] = documents
  if (first === undefined) throw new Error(`no documents in ${file}`)
  return [first, ...rest]
}
