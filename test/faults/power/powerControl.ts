import { createRandom } from '../../../src/demo/random.ts'
import { until } from '../../nodes/support/until.ts'
import { checkHistory } from '../history/checkHistory.ts'
import { readLogFromDatabase } from '../history/recordedLog.ts'
import { ClientLoad } from '../support/clientLoad.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { startOnCopy, startTimeoutMs } from './powerBase.ts'
import { cutPower, type PowerPlan } from './powerRun.ts'

/** What of PostgreSQL's promises is switched off. */
export type ControlSetting = 'fsync' | 'synchronous_commit'

export interface PowerControl {
  readonly setting: ControlSetting
  readonly accepted: number
  /** Accepted, and not there after the cut. */
  readonly lost: number
  /** Of a cluster that could not be brought back at all; null: it recovered. */
  readonly lastWords: string | null
  /** How the node that had outlived its database took it; null: there was no database to tell it. */
  readonly noticed: boolean | null
}

const noticeMsMax = 15_000

/**
 * One cut with a setting off that durability rests on, on the kinder of the disks. It must lose what was accepted, or these
 * tests could not tell a loss from none; and the node that knows better must not go on with what is left.
 */
export async function powerControl(
  plan: Omit<PowerPlan, 'disk' | 'cuts'>,
  setting: ControlSetting,
): Promise<PowerControl> {
  const { service, base, progress } = plan
  const { disk, server } = await startOnCopy(base, 'writeThrough', { [setting]: 'off' })
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
    const lastWords = await server.startAgain().then(
      () => null,
      () => server.lastWords(),
    )
    if (lastWords !== null) control = { setting, accepted, lost: accepted, lastWords, noticed: null }
    else {
      const log = await readLogFromDatabase(server.connectionString)
      const lost = checkHistory({ calls: load.calls.slice(), log }).counts.lost_write ?? 0
      node.signal('SIGCONT')
      control = { setting, accepted, lost, lastWords, noticed: await refuses(node) }
    }
  } finally {
    // It has said what it had to say; its clients have nobody to wait for.
    await node.end()
    await load.abandon()
  }
  await server.stop()
  await disk.remove()
  const { lost, accepted, noticed, lastWords } = control
  const then = lastWords ?? (noticed === true ? 'noticed' : 'not noticed')
  progress(`control, ${setting}=off: ${lost} of ${accepted} lost, ${then}`)
  return control
}

function refuses(node: SupervisedNode): Promise<boolean> {
  const said = () => /events are lost|another log|Another history/i.test(node.output)
  return until('the node notices', noticeMsMax, said).catch(() => false)
}
