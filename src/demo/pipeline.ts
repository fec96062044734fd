import type { PipelineDefinition, TrackDefinition } from '../client/client.ts'

/**
 * The way of a webhook document: a main track, a scan that starts once the document is valid, an index that starts
 * once it is enriched. Publishing waits for a clean scan, archiving for the index, quarantine for an infected scan.
 */
export const tracks = {
  main: {
    initial: 'received',
    transitions: {
      received: ['validated', 'rejected'],
      validated: ['enriched'],
      enriched: ['published', 'quarantined'],
      published: ['archived'],
    },
    final: { archived: 'succeeded', rejected: 'failed', quarantined: 'failed' },
    requires: {
      published: [{ track: 'scan', in: ['clean'] }],
      quarantined: [{ track: 'scan', in: ['infected'] }],
      archived: [{ track: 'index', in: ['indexed'] }],
    },
  },
  scan: {
    initial: 'queued',
    transitions: { queued: ['scanning'], scanning: ['clean', 'infected'] },
    final: { clean: 'succeeded', infected: 'failed' },
    startsWhen: { track: 'main', in: ['validated'] },
  },
  index: {
    initial: 'pending',
    transitions: { pending: ['indexing'], indexing: ['indexed'] },
    final: { indexed: 'succeeded' },
    startsWhen: { track: 'main', in: ['enriched'] },
  },
} satisfies Record<string, TrackDefinition>

export type Policy = 'advance' | 'hold'

export function definition(policy: Policy): PipelineDefinition {
  return { outOfOrder: policy, tracks }
}

/** How a document fares; decides which reports are sent and how its operation must end. */
export type Fate = 'archived' | 'rejected' | 'quarantined'

export interface ExpectedEnd {
  readonly state: 'succeeded' | 'failed'
  readonly tracks: Readonly<Record<string, { readonly phase: string; readonly status: string | null }>>
}

export const expectedEnds: Readonly<Record<Fate, ExpectedEnd>> = {
  archived: {
    state: 'succeeded',
    tracks: {
      main: { phase: 'final', status: 'archived' },
      scan: { phase: 'final', status: 'clean' },
      index: { phase: 'final', status: 'indexed' },
    },
  },
  rejected: {
    state: 'failed',
    tracks: {
      main: { phase: 'final', status: 'rejected' },
      scan: { phase: 'skipped', status: null },
      index: { phase: 'skipped', status: null },
    },
  },
  quarantined: {
    state: 'failed',
    tracks: {
      main: { phase: 'final', status: 'quarantined' },
      scan: { phase: 'final', status: 'infected' },
      index: { phase: 'final', status: 'indexed' },
    },
  },
}
