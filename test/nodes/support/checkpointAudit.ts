import pg from 'pg'
import { expect } from 'vitest'
import { patienceMs } from '../../support/patience.ts'
import { until } from './until.ts'

/** Every change of the checkpoint, as the database made it. */
export interface CheckpointChange {
  readonly number: bigint
  readonly epoch: bigint
  readonly position: bigint
  /** The session that wrote it. */
  readonly pid: number
  readonly atMs: number
}

/** Has the database itself record who moves the checkpoint: no node can forget to. */
export class CheckpointAudit {
  readonly client: pg.Client

  private constructor(client: pg.Client) {
    this.client = client
  }

  /** The schema must be there. */
  static async begin(connectionString: string): Promise<CheckpointAudit> {
    const client = new pg.Client({ connectionString })
    client.on('error', () => undefined)
    await client.connect()
    await client.query(`
      CREATE TABLE public.checkpoint_changes (
        number bigint GENERATED ALWAYS AS IDENTITY, epoch bigint, position bigint, pid integer, at timestamptz
      );
      CREATE FUNCTION public.note_checkpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        INSERT INTO public.checkpoint_changes (epoch, position, pid, at)
        VALUES (new.epoch, new.position, pg_backend_pid(), clock_timestamp());
        RETURN NULL;
      END $$;
      CREATE TRIGGER note_checkpoint AFTER UPDATE ON waybill_read.checkpoints
        FOR EACH ROW EXECUTE FUNCTION public.note_checkpoint();`)
    return new CheckpointAudit(client)
  }

  /** In the order in which they were made: each was made under the row's lock. */
  async changes(): Promise<readonly CheckpointChange[]> {
    const { rows } = await this.client.query<Record<keyof CheckpointChange, string>>(
      `SELECT number, epoch, position, pid, extract(epoch FROM at) * 1000 AS "atMs"
       FROM public.checkpoint_changes ORDER BY number`,
    )
    return rows.map((row) => ({
      number: BigInt(row.number),
      epoch: BigInt(row.epoch),
      position: BigInt(row.position),
      pid: Number(row.pid),
      atMs: Number(row.atMs),
    }))
  }

  /** The first change that is as asked for; waits for it. */
  change(isIt: (change: CheckpointChange) => boolean): Promise<CheckpointChange> {
    return until('the checkpoint is moved', patienceMs, async () => (await this.changes()).find(isIt))
  }

  async end(): Promise<void> {
    await this.client.end()
  }
}

/** One writer at a time, forwards only: each epoch is one session's, none returns, and no position is written twice. */
export function expectOneWriterAtATime(changes: readonly CheckpointChange[]): void {
  const writers = new Map<bigint, number>()
  let before: CheckpointChange | null = null
  for (const change of changes) {
    const writer = writers.get(change.epoch)
    expect(writer ?? change.pid, `session of epoch ${change.epoch}`).toBe(change.pid)
    writers.set(change.epoch, change.pid)
    if (before !== null) {
      expect(change.epoch >= before.epoch, `epoch ${change.epoch} after ${before.epoch}`).toBe(true)
      if (change.epoch === before.epoch)
        expect(change.position > before.position, `position at ${change.number}`).toBe(true)
      else expect(change.position, `position taken over at ${change.number}`).toBe(before.position)
    }
    before = change
  }
}
