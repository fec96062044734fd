import { createHash } from 'node:crypto'
import type { SampleDocument } from './documents.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

/** What each service finds out about a document and adds to it: small, real and different for each document. */
export function validation(document: SampleDocument): JsonObject {
  return { validation: { bytes: document.bytes, members: Object.keys(document.payload).length } }
}

export function classification(document: SampleDocument): JsonObject {
  const { payload } = document
  return {
    class: {
      event: document.event,
      action: typeof payload.action === 'string' ? payload.action : null,
      repository: text(payload.repository, 'full_name'),
      sender: text(payload.sender, 'login'),
    },
  }
}

export function people(document: SampleDocument): JsonObject {
  const logins = new Set<string>()
  collect(document.payload, (member, value) => {
    if (member === 'login') logins.add(value)
  })
  return { people: [...logins].sort(), scratch: { enrichedFrom: document.event } }
}

export function scanResult(document: SampleDocument, verdict: 'clean' | 'infected' | 'pending'): JsonObject {
  return { scan: { verdict, sha256: createHash('sha256').update(JSON.stringify(document.payload)).digest('hex') } }
}

export function searchTerms(document: SampleDocument, part: 'first' | 'all'): JsonObject {
  const words = new Map<string, number>()
  collect(document.payload, (_member, value) => {
    for (const word of value.toLowerCase().match(/[a-z]{5,}/g) ?? []) words.set(word, (words.get(word) ?? 0) + 1)
  })
  const ranked = [...words].sort((left, right) => right[1] - left[1] || (left[0] < right[0] ? -1 : 1))
  return { index: { [part]: ranked.slice(0, part === 'first' ? 3 : 12).map(([word]) => word) } }
}

function text(value: Json | undefined, member: string): string | null {
  const found = isObject(value) ? value[member] : undefined
  return typeof found === 'string' ? found : null
}

function collect(value: Json, visit: (member: string, text: string) => void, member = ''): void {
  if (typeof value === 'string') visit(member, value)
  else if (Array.isArray(value)) for (const item of value) collect(item, visit, member)
  else if (isObject(value)) for (const [name, inner] of Object.entries(value)) collect(inner, visit, name)
}
