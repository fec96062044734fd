/** It was tried and did not work: exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/** It was asked for wrongly, and nothing was tried: exit code 2. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage'
}

export const exitCodes = { done: 0, failed: 1, usage: 2 } as const
