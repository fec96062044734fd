import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { createRandom } from '../../../src/demo/random.ts'
import { signalServer, spawnServer, stopServer } from '../../../src/postgres/embedded/serverProcess.ts'
import type { BuiltService } from '../../nodes/support/builtService.ts'
import { until } from '../../nodes/support/until.ts'
import { type Call, isWrite } from '../history/call.ts'
import { checkHistory, type Verdict } from '../history/checkHistory.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'
import { monotonicUs } from '../history/recorder.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { caughtUp, judge } from '../support/judge.ts'
import { freePort } from '../support/ports.ts'
import { answers, prepareServer } from '../support/preparedServer.ts'
import { run } from '../support/run.ts'
import { childrenOf, isAlive, signalProcess } from '../support/serverProcesses.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { FaultyWay } from './faultyWay.ts'

export type StandbyKind = 'synchronous' | 'asynchronous'

export interface FailOver {
  readonly standby: StandbyKind
  readonly accepted: number
  /** Accepted, and not on the standby. */
  readonly lost: number
  /** Whether the node refuses to go on. */
  readonly refuses: boolean
  /** From the promotion to the first write accepted; null: none was. */
  readonly backMs: number | null
  /** At the end of all, where it went on. */
  readonly verdict: Verdict | null
  readonly calls: readonly Call[]
}

const startTimeoutMs = 60_000
const patienceMs = 30_000
/** How far the asynchronous standby is behind. */
const behindMs = 300

/**
 * A primary with a standby; the primary is killed, all of it, the standby is promoted, and the node's address of the
 * database leads there. A synchronous standby has all that was accepted. An asynchronous one that is a little behind has not:
 * the control, which must lose, and of which the node must notice.
 */
export async function failOver(
  service: BuiltService,
  template: string,
  folder: string,
  kind: StandbyKind,
  seed: number,
): Promise<FailOver> {
  await mkdir(folder, { mode: 0o711 })
  const [primaryDir, standbyDir] = [join(folder, 'primary'), join(folder, 'standby')]
  await run('cp', ['--archive', template, primaryDir])
  const prepared = await prepareServer(primaryDir, { settings: { min_wal_size: '80MB', shared_buffers: '64MB' } })
  await mkdir(standbyDir, { mode: 0o711 })
  await run('cp', ['--archive', join(primaryDir, 'postgres'), standbyDir])
  const primaryStart = {
    ...prepared.start,
    settings: { ...prepared.start.settings, synchronous_standby_names: kind === 'synchronous' ? '*' : '' },
  }
  const primary = await spawnServer(primaryStart)
  const stream = await FaultyWay.to(prepared.connectionString)
  const standbyPort = await freePort()
  const clusterDirectory = join(standbyDir, 'postgres')
  await writeFile(join(clusterDirectory, 'standby.signal'), '')
  const source = new URL(stream.connectionString)
  const primaryInfo = `host=127.0.0.1 port=${source.port} user=${source.username} password=${decodeURIComponent(source.password)}`
  const standbyStart = {
    ...prepared.start,
    clusterDirectory,
    logFile: join(standbyDir, 'postgres.log'),
    settings: {
      ...prepared.start.settings,
      port: String(standbyPort),
      primary_conninfo: primaryInfo,
      // Off where nothing is to be asked of a server before it has recovered.
      hot_standby: 'on',
    },
  }
  const standby = await spawnServer(standbyStart)
  const standbyUrl = new URL(prepared.connectionString)
  standbyUrl.port = String(standbyPort)
  await until('both servers answer', startTimeoutMs, async () => {
    return (await answers(prepared.connectionString)) && (await answers(standbyUrl.toString()))
  })
  await until('the standby streams', startTimeoutMs, () =>
    ask(prepared.connectionString, "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"),
  )
  const way = await FaultyWay.to(prepared.connectionString)
  const node = await SupervisedNode.start(service, 'node', { DATABASE_URL: way.connectionString })
  await node.ready(startTimeoutMs)
  const load = await ClientLoad.start({ urls: [node.url], random: createRandom(seed).fork(kind) })
  let failedOver: Omit<FailOver, 'verdict' | 'calls'>
  try {
    await load.while(load.watch.more(300, 10_000))
    if (kind === 'asynchronous') {
      stream.set('delay', behindMs)
      await load.while(load.watch.more(200, 5_000))
    }
    for (const pid of [primary.pid, ...childrenOf(primary.pid)]) signalProcess(pid, 'SIGKILL')
    stream.set('reset')
    way.set('reset')
    await until('the primary is gone', 10_000, () => primary.hasEnded() && !isAlive(primary.pid))
    // What was accepted before it was gone is what counts; and nobody writes until the standby is promoted.
    await load.while(delay(500))
    await ask(standbyUrl.toString(), 'SELECT pg_promote()')
    const { accepted } = load.watch
    const log = await readLogFromDatabase(standbyUrl.toString())
    const calls = load.calls.slice().filter((call) => !isWrite(call) || call.answer.kind === 'accepted')
    const lost = checkHistory({ calls, log }).counts.lost_write ?? 0
    const promotedUs = monotonicUs()
    way.turnTo(standbyUrl.toString())
    way.set('pass')
    const outcome = await load.while(
      Promise.race([
        load.watch.firstAfter(promotedUs, null, patienceMs),
        until('the node refuses', patienceMs, () => /events are lost/.test(node.output)).then(
          () => 'refuses' as const,
          () => null,
        ),
      ]),
    )
    const backMs = typeof outcome === 'number' ? Math.round((outcome - promotedUs) / 1_000) : null
    failedOver = { standby: kind, accepted, lost, refuses: outcome === 'refuses', backMs }
    if (outcome === 'refuses') await node.end()
  } finally {
    if (load.watch.accepted > 0) await finishOrAbandon(load, kind)
  }
  let verdict: Verdict | null = null
  if (failedOver.backMs !== null) {
    await caughtUp(node.url, patienceMs)
    await node.stop()
    verdict = await judge(standbyUrl.toString(), load.calls)
  } else await node.end()
  await way.close()
  await stream.close()
  await stopServer(standbyStart.binaries, standby.pid, 15_000, standby.hasEnded)
  if (!primary.hasEnded()) signalServer(primaryStart.binaries, primary.pid, 'SIGQUIT')
  return { ...failedOver, verdict, calls: load.calls }
}

function finishOrAbandon(load: ClientLoad, kind: StandbyKind): Promise<void> {
  return kind === 'synchronous' ? load.finish() : load.abandon()
}

async function ask(connectionString: string, question: string): Promise<boolean> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(question)).rowCount !== 0
  } finally {
    await client.end()
  }
}
