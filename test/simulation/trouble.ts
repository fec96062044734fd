import type { Random } from '../../src/demo/random.ts'
import type { Plan } from './plan.ts'
import type { World } from './world.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** What befalls nodes and stores while clients are at work: each kind again and again, until `heal`. */
export function makeTrouble(world: World, plan: Plan, random: Random): { readonly heal: () => void } {
  const { scheduler } = world
  let isOver = false
  const again = (meanMs: number | null, happen: () => void): void => {
    if (meanMs === null) return
    const wait = (): void => {
      scheduler.after(
        random.exponential(meanMs),
        () => {
          if (isOver) return
          happen()
          wait()
        },
        world.actor,
      )
    }
    wait()
  }
  const forMs = (meanMs: number): number => scheduler.nowMs + random.exponential(meanMs)
  const someNode = (): number => random.integer(0, plan.nodes - 1)

  again(plan.crashes, () => world.crash(someNode(), random.exponential(100)))
  again(plan.freezes, () => {
    const node = world.nodeAt(someNode())
    node.actor.frozenUntilUs = Math.round(forMs(random.pick([20, 200, 1_500])) * 1_000)
    // A server waits for a silent client for a while only.
    if (random.chance(0.5)) world.breakConnections(node.actor)
  })
  again(plan.clockJumps, () => {
    world.nodeAt(someNode()).actor.clockOffsetMs += random.pick([-hourMs, -minuteMs, -5, 5, minuteMs, hourMs])
  })
  again(plan.logOutages, () => {
    world.logServer.downUntilMs = forMs(100)
  })
  again(plan.rowsOutages, () => {
    world.database.downUntilMs = forMs(100)
    world.breakConnections(null)
  })
  again(plan.partitions, () => {
    world.nodeAt(someNode()).log.cutUntilMs = forMs(100)
  })
  again(plan.orders, () => {
    const { tables } = world.database
    if (random.chance(0.5) && !tables.paused) {
      tables.rebuild ??= { id: `rebuild-${tables.rebuilds}`, attempt: null, attempts: 0 }
    } else {
      tables.paused = !tables.paused
      if (tables.paused) tables.used.epoch += 1n
    }
  })

  return {
    heal() {
      isOver = true
      const none = <Rates extends object>(rates: Rates): Rates =>
        Object.fromEntries(Object.keys(rates).map((name) => [name, 0])) as Rates
      world.logServer.faults = none(world.logServer.faults)
      world.logServer.downUntilMs = 0
      world.database.faults = none(world.database.faults)
      world.database.downUntilMs = 0
      world.database.tables.paused = false
      world.network.faults = none(world.network.faults)
      for (let address = 0; address < plan.nodes; address += 1) {
        const node = world.nodeAt(address)
        node.log.cutUntilMs = 0
        node.actor.frozenUntilUs = 0
      }
    },
  }
}
