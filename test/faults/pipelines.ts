import type { Json } from '../../src/operation/json.ts'

/** What clients report on: every policy, parallel tracks, start conditions, joins, and a loop ordered by time. */
export interface Kind {
  readonly pipeline: string
  /** Null: built in. */
  readonly definition: Json
  /** Statuses by track, in the order in which a careful service would report them. */
  readonly steps: readonly { readonly track?: string; readonly status: string }[]
}

const linear = ['new', 'read', 'checked', 'paid', 'done']
const steps = linear.map((status) => ({ status }))

export const kinds: readonly [Kind, ...Kind[]] = [
  { pipeline: 'any', definition: null, steps: [{ status: 'busy' }, { status: 'idle' }] },
  { pipeline: 'forwards', definition: { statuses: linear, outOfOrder: 'advance' }, steps },
  { pipeline: 'patient', definition: { statuses: linear, outOfOrder: 'hold' }, steps },
  { pipeline: 'strict', definition: { statuses: linear, outOfOrder: 'reject' }, steps },
  {
    pipeline: 'quiet',
    definition: { statuses: linear, outOfOrder: 'advance', lateData: 'record', recordIgnored: false },
    steps,
  },
  {
    pipeline: 'parallel',
    definition: {
      outOfOrder: 'hold',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['read'], read: ['checked'], checked: ['done'] },
          final: { done: 'succeeded' },
          requires: { done: [{ track: 'fraud', in: ['passed'] }] },
        },
        fraud: {
          initial: 'waiting',
          transitions: { waiting: ['passed', 'suspect'] },
          final: { passed: 'succeeded', suspect: 'failed' },
          startsWhen: { track: 'main', in: ['read'] },
        },
      },
    },
    steps: [
      { track: 'main', status: 'read' },
      { track: 'fraud', status: 'passed' },
      { track: 'main', status: 'checked' },
      { track: 'main', status: 'done' },
    ],
  },
  {
    pipeline: 'optional',
    definition: {
      outOfOrder: 'advance',
      tracks: {
        main: {
          initial: 'new',
          transitions: { new: ['special', 'checked'], special: ['checked'], checked: ['done', 'void'] },
          final: { done: 'succeeded', void: 'failed' },
          requires: {
            done: [{ track: 'extra', in: ['passed'], orSkipped: true }],
            void: [{ track: 'extra', in: ['failed'] }],
          },
        },
        extra: {
          initial: 'waiting',
          transitions: { waiting: ['passed', 'failed'] },
          final: { passed: 'succeeded', failed: 'failed' },
          startsWhen: { track: 'main', in: ['special'] },
        },
      },
    },
    steps: [
      { track: 'main', status: 'special' },
      { track: 'extra', status: 'passed' },
      { track: 'main', status: 'checked' },
      { track: 'extra', status: 'failed' },
      { track: 'main', status: 'void' },
      { track: 'main', status: 'done' },
    ],
  },
  {
    pipeline: 'looped',
    definition: {
      outOfOrder: 'hold',
      orderBy: 'observedAt',
      tracks: {
        main: {
          initial: 'draft',
          transitions: { draft: ['review'], review: ['draft', 'approved'], approved: ['review', 'done'] },
          final: { done: 'succeeded' },
        },
      },
    },
    steps: [{ status: 'review' }, { status: 'draft' }, { status: 'approved' }, { status: 'done' }],
  },
]
