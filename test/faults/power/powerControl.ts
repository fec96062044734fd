import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createRandom } from '../../../src/demo/random.ts'
import { until } from '../../nodes/support/until.ts'
import { checkHistory } from '../history/checkHistory.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { PowerDisk } from './powerDisk.ts'
import { cutPower, type PowerPlan } from './powerRun.ts'
import { PowerServer } from './powerServer.ts'

/** What of PostgreSQL's promises is switched off. */
export type ControlSetting = 'fsync' | 'synchronous_commit'

export interface PowerControl {
  readonly setting: ControlSetting
  readonly accepted: number
  /** Accepted, and not there after the cut. */
  readonly lost: number
  /** `gone`: the cluster could not be brought back at all. */
  readonly cluster: 'back' | 'gone'
  /** How the node that had outlived its database took it; null: there was no database to tell it. */
  readonly noticed: boolean | null
}

const startTimeoutMs = 60_000
const noticeMsMax = 15_000

/**
 * One cut with a setting off that durability rests on, on the kinder of the disks. It must lose what was accepted, or these
 * tests could not tell a loss from none; and the node that knows better must not go on with what is left.
 */
export async function powerControl(
  plan: Omit<PowerPlan, 'disk' | 'cuts'>,
  setting: ControlSetting,
): Promise<PowerControl> {
  const { service, folder, progress } = plan
  await mkdir(folder, { mode: 0o711 })
  const disk = await PowerDisk.make(join(folder, 'disk'), 'writeThrough')
  const server = await PowerServer.start(join(disk.mountPoint, 'data'), join(folder, 'postgres.log'))
  // Its tables are made while nothing is off: only what is reported is to be lost.
  const maker = await SupervisedNode.start(service, 'maker', { DATABASE_URL: server.connectionString })
  await maker.ready(startTimeoutMs)
  await maker.stop()
  await server.restartWith({ [setting]: 'off' })
  const environment = { DATABASE_URL: server.connectionString, WAYBILL_ALLOW_UNSAFE_DURABILITY: 'true' }
  const node = await SupervisedNode.start(service, 'node', environment)
  await node.ready(startTimeoutMs)
  const random = createRandom(plan.seed).fork(setting)
  const load = await ClientLoad.start({ urls: [node.url], random })
  let control: PowerControl
  try {
    await load.while(load.watch.more(random.integer(500, 1_500), 4_000))
    await cutPower('database', disk, server, node)
    const { accepted } = load.watch
    await disk.powerUp()
    const cluster = await server.startAgain().then(
      () => 'back' as const,
      () => 'gone' as const,
    )
    if (cluster === 'gone') control = { setting, accepted, lost: accepted, cluster, noticed: null }
    else {
      const log = await readLogFromDatabase(server.connectionString)
      const lost = checkHistory({ calls: load.calls.slice(), log }).counts.lost_write ?? 0
      node.signal('SIGCONT')
      control = { setting, accepted, lost, cluster, noticed: await refuses(node) }
    }
  } finally {
    node.signal('SIGCONT')
    await load.abandon()
  }
  await node.stop()
  await server.stop()
  await disk.remove()
  const { lost, accepted, noticed } = control
  progress(`control, ${setting}=off: ${lost} of ${accepted} lost, ${noticed === true ? 'noticed' : 'not noticed'}`)
  return control
}

function refuses(node: SupervisedNode): Promise<boolean> {
  const said = () => /events are lost|another log|Another history/i.test(node.output)
  return until('the node notices', noticeMsMax, said).catch(() => false)
}
