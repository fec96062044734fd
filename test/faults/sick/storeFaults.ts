import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { caughtUp } from '../support/judge.ts'
import { run } from '../support/run.ts'
import { childrenOf, signalProcess } from '../support/serverProcesses.ts'
import type { WayMode } from './faultyWay.ts'
import type { SickRig } from './sickRig.ts'

/** Something that ails the store for a while. */
export interface StoreFault {
  readonly title: string
  readonly ms: number
  /** `go on`: all the while. `fail`: some must, or the fault was not felt. `either`: both are well. */
  readonly writes: 'go on' | 'fail' | 'either'
  /** Makes the store sick; what it gives makes it well again. */
  begin(rig: SickRig): Promise<() => Promise<void>>
}

/** The service's own bounds: a server that is silent is given so long before a write is answered. */
const silenceMs = 16_000

/** SIGSTOP to every process of the server: it keeps its connections, and says nothing. */
export function hang(ms: number): StoreFault {
  return {
    title: `the server hangs for ${ms / 1_000} s`,
    ms,
    writes: ms > silenceMs ? 'fail' : 'either',
    async begin({ server }) {
      const { pid } = server
      const all = () => [pid, ...childrenOf(pid)]
      // The first one first: it would make new ones.
      for (const one of all()) signalProcess(one, 'SIGSTOP')
      return async () => {
        for (const one of all().reverse()) signalProcess(one, 'SIGCONT')
      }
    },
  }
}

/** Filled to the last byte; then there is room again. */
export function diskFull(ms: number): StoreFault {
  return {
    title: 'the disk is full',
    ms,
    writes: 'fail',
    async begin({ mountPoint }) {
      const ballast = join(mountPoint, 'ballast')
      const fill = async (n: number) => {
        const { bavail, bsize } = await statfs(mountPoint)
        if (bavail > 0) await run('fallocate', ['--length', String(bavail * bsize), `${ballast}-${n}`]).catch(() => '')
      }
      // What PostgreSQL gives back, recycling its files, is taken as well.
      const over = new AbortController()
      let files = 0
      const filling = (async () => {
        for (; !over.signal.aborted; files += 1) {
          await fill(files)
          await delay(100)
        }
      })()
      return async () => {
        over.abort()
        await filling
        for (let n = 0; n <= files; n += 1) await rm(`${ballast}-${n}`, { force: true })
      }
    },
  }
}

function bad(mode: WayMode, title: string, ms: number, writes: StoreFault['writes'], delayMs = 0): StoreFault {
  return {
    title,
    ms,
    writes,
    async begin({ way }) {
      way.set(mode, delayMs)
      return async () => way.set('pass')
    },
  }
}

export const network = {
  slow: (ms: number) => bad('delay', 'every packet comes 200 ms late', ms, 'go on', 200),
  cutInCommit: (ms: number) => bad('cutInCommit', 'connections are cut in the middle of a commit', ms, 'either'),
  cutUnheard: (ms: number) =>
    bad('cutUnheard', 'connections are cut in the middle of a commit, and the server is not told', ms, 'either'),
  halfCommit: (ms: number) => bad('halfCommit', 'connections are cut in the middle of a message', ms, 'fail'),
  halfOpen: (ms: number) =>
    bad('halfOpen', 'connections are half open: no answer comes back', ms, ms > silenceMs ? 'fail' : 'either'),
  blackHole: (ms: number) => bad('blackHole', 'a black hole: nothing arrives', ms, ms > silenceMs ? 'fail' : 'either'),
  reset: (ms: number) => bad('reset', 'connections are reset, and refused', ms, 'fail'),
}

/** Others have all of the server's connections, and ours were ended. */
export function connectionsTaken(ms: number): StoreFault {
  return {
    title: "all of the server's connections are taken",
    ms,
    writes: 'fail',
    async begin(rig) {
      const taken: pg.Client[] = []
      const over = new AbortController()
      const take = async () => {
        try {
          taken.push(await rig.connect())
        } catch {
          await delay(5)
        }
      }
      const admin = await rig.connect()
      const taking = (async () => {
        while (!over.signal.aborted) await take()
      })()
      const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'waybill%'`
      const ending = (async () => {
        while (!over.signal.aborted) {
          await admin.query(end)
          await delay(20)
        }
      })()
      return async () => {
        over.abort()
        await Promise.all([taking, ending])
        await Promise.all([...taken, admin].map((client) => client.end()))
      }
    },
  }
}

/** Each read waits for a lock, until all connections of our own pools wait. */
export function readsBlocked(ms: number): StoreFault {
  return {
    title: 'every read waits for a lock, and with it the pool',
    ms,
    writes: 'go on',
    async begin(rig) {
      const holder = await rig.connect()
      await holder.query('BEGIN; LOCK TABLE waybill_read.operations IN ACCESS EXCLUSIVE MODE')
      return () => holder.end()
    },
  }
}

/** It holds a transaction id: who waits for older transactions to end, in any database of the server, would wait for it. */
export function longTransaction(ms: number): StoreFault {
  return {
    title: 'a long transaction in another database of the server',
    ms,
    writes: 'go on',
    async begin(rig) {
      const admin = await rig.connect()
      await admin.query('CREATE DATABASE other')
      const holder = await rig.connect('other')
      await holder.query('BEGIN; CREATE TABLE held (); SELECT pg_current_xact_id()')
      const projected = caughtUp(rig.node.url, Math.max(ms, 10_000))
      projected.catch(() => undefined)
      return async () => {
        // Readers of the log get on while it is open.
        await projected
        await holder.end()
        await admin.query('DROP DATABASE other WITH (FORCE)')
        await admin.end()
      }
    },
  }
}
