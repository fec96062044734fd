import pg from 'pg'

const unanswered = -3
const refused = -2
const lost = -1

/** What a flood's reports were answered, and whether the log says the same. A number is a report's key, `flood-N`. */
export class Ledger {
  /** By number: the revision it was accepted at, or why not. */
  readonly #answers: number[] = []
  accepted = 0

  accept(number: number, body: Buffer): void {
    const [, revision] = /"revision":(\d+)/.exec(body.toString('latin1')) ?? []
    this.#answers[number] = Number(revision)
    this.accepted += 1
  }

  refuse(number: number): void {
    this.#answers[number] = refused
  }

  lose(number: number): void {
    this.#answers[number] = lost
  }

  /** Sentences about what the log has too much or too little. */
  async holdAgainst(connectionString: string): Promise<readonly string[]> {
    const client = new pg.Client({ connectionString, application_name: 'flood ledger' })
    await client.connect()
    const faults: string[] = []
    const seen = new Set<number>()
    try {
      for (let after = '-1', more = true; more; ) {
        const { rows } = await client.query<{ position: string; revision: string; command: string }>(
          `SELECT e.position::text, e.revision::text, e.metadata ->> 'command' AS command
           FROM waybill_log.events e WHERE e.position > $1 ORDER BY e.position LIMIT 50000`,
          [after],
        )
        for (const { command, revision } of rows) this.#see(command, Number(revision), seen, faults)
        more = rows.length > 0
        after = rows.at(-1)?.position ?? after
      }
    } finally {
      await client.end()
    }
    for (const [number, answer] of this.#answers.entries()) {
      if (answer >= 0 && !seen.has(number))
        faults.push(`flood-${number}, accepted at revision ${answer}, is not in the log`)
    }
    return faults
  }

  #see(command: string, revision: number, seen: Set<number>, faults: string[]): void {
    const [, digits] = /^flood-(\d+)$/.exec(command) ?? []
    if (digits === undefined) return
    const number = Number(digits)
    const answer = this.#answers[number] ?? unanswered
    if (answer === refused) faults.push(`${command} was refused, and is in the log at revision ${revision}`)
    else if (answer === unanswered) faults.push(`${command} is in the log, and was never sent`)
    // The first report of an operation opens it as well: its receipt names the last of its two events.
    else if (answer === revision) {
      if (seen.has(number)) faults.push(`${command} is in the log twice`)
      seen.add(number)
    } else if (answer >= 0 && revision > answer)
      faults.push(`${command}, accepted at revision ${answer}, is in the log at ${revision} as well`)
  }
}
