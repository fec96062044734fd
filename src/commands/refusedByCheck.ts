/** What a command's own check throws is the caller's, and passed on to it as it is. */
export class RefusedByCheck {
  readonly reason: unknown

  constructor(reason: unknown) {
    this.reason = reason
  }
}

/** Asks a check. Throws RefusedByCheck. */
export async function passCheck(check: Promise<void>): Promise<void> {
  await check.catch((reason: unknown) => {
    throw new RefusedByCheck(reason)
  })
}
