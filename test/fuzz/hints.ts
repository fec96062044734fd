import type { Hints } from './schemaArbitrary.ts'

const statuses = ['new', 'status1', 'status2', 'done', 'left', 'right', 'odd one'] as const

const keys = Array.from({ length: 40 }, (_, n) => `k-${n}`)

/** What requests meet on. `{{epoch}}` moves on during a run, so that operations begin anew. */
export const commonHints: Hints = {
  id: ['op-{{epoch}}-1', 'op-{{epoch}}-2', 'op-{{epoch}}-3', 'op-{{epoch}}-4', 'op-{{epoch}}-5'],
  operation: ['op-{{epoch}}-1', 'op-{{epoch}}-2', 'op-{{epoch}}-3', 'op-{{epoch}}-4', 'op-{{epoch}}-5'],
  idPrefix: ['op-', 'op-{{epoch}}', 'x'],
  pipeline: ['any', 'linear', 'parallel', 'byTime', 'p-1', 'p-2', 'nowhere'],
  status: statuses,
  initial: statuses,
  in: statuses,
  statuses,
  service: ['ocr', 'mail', 'bank'],
  track: ['main', 'left', 'right'],
  theme: ['billing', 'a b'],
  command: keys,
  'idempotency-key': keys,
  minPosition: ['{{position}}', '{{otherLog}}', '{{future}}'],
  after: ['{{position}}', '{{position}}', '{{otherLog}}', '{{future}}', 'head'],
  'last-event-id': ['{{position}}', '{{otherLog}}'],
  pageToken: ['W10', '{{pageToken}}'],
  'if-match': ['"0"', '"1"', '"2"', '"7"'],
  'if-none-match': ['"0"', '"1"', '"2"', '"7"'],
  pipelineVersion: ['1', '1', '1', '2'],
  traceparent: ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  prefer: ['wait=0'],
  stream: ['operation-op-{{epoch}}-1', 'operation-x'],
  reason: ['seen to'],
}

/** Paths' own: what a `name` is. */
export const pathHints: readonly (readonly [prefix: string, hints: Hints])[] = [
  ['/v1/operations/{id}/commands', { key: keys }],
  ['/v1/pipelines', { name: ['any', 'linear', 'p-1', 'p-2', 'p-{{epoch}}', 'nowhere'] }],
  ['/v1/projections', { name: ['operations', 'operations', 'nothing'], id: ['00000000-0000-4000-8000-000000000000'] }],
  ['/v1/keys', { name: Array.from({ length: 20 }, (_, n) => `fuzz-${n}`) }],
]
