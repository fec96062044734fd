/** Parallel tracks with a start condition and a join: as much as a definition can say. */
export const invoice = {
  outOfOrder: 'hold',
  tracks: {
    main: {
      initial: 'new',
      transitions: { new: ['read'], read: ['paid'] },
      final: { paid: 'succeeded' },
      requires: { paid: [{ track: 'fraud', in: ['passed'] }] },
    },
    fraud: {
      initial: 'queued',
      transitions: { queued: ['passed', 'suspect'] },
      final: { passed: 'succeeded', suspect: 'failed' },
      startsWhen: { track: 'main', in: ['read'] },
    },
  },
} as const

export const linear = { statuses: ['new', 'status1', 'status2', 'done'], outOfOrder: 'advance' } as const
