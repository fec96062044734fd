import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type FloodedRun, floodedRun } from '../floods/floodedRun.ts'
import { type GreedyKeyRun, greedyKeyRun } from '../floods/greedyKeyRun.ts'
import { type NuisanceRun, nuisanceRun } from '../floods/nuisanceRun.ts'
import { markdownTable, type Suite, type SuiteContext, type SuiteReport } from '../suite.ts'

export const floods: Suite = {
  name: 'floods',
  description: 'ten times what the service can take, and clients that do what none should, beside others that behave',
  async run(context) {
    const flooded = await floodedRun(context, await folder(context, 'floods'))
    const beset = await nuisanceRun(context, await folder(context, 'nuisances'))
    const greedy = await greedyKeyRun(context, await folder(context, 'greedy'))
    return report(flooded, beset, greedy)
  },
}

async function folder({ scratch }: SuiteContext, name: string): Promise<string> {
  const path = join(scratch, name)
  await mkdir(path, { mode: 0o711 })
  return path
}

function report(flooded: FloodedRun, beset: NuisanceRun, greedy: GreedyKeyRun): SuiteReport {
  return {
    faults: [...flooded.faults, ...beset.faults, ...greedy.faults],
    figures: { floods: flooded.figures, nuisances: beset.figures, greedyKey: greedy.figures },
    markdown: `${floodTable(flooded)}\n\n${nuisanceTable(beset)}\n\n${greedyTable(greedy)}`,
  }
}

function floodTable({ figures }: FloodedRun): string {
  const header = [
    'flood',
    'can take /s',
    'offered /s',
    'sent /s',
    'accepted /s',
    'answers',
    'accepted: p50, p99 ms',
  ].concat(['probe before: p50, p99 ms', 'probe meanwhile: p50, p99 ms', 'memory before, most MiB', 'back after ms'])
  const rows = figures.map((one) => [
    `${one.name}, ${one.seconds} s`,
    one.capacityPerSecond,
    one.offeredPerSecond,
    one.sentPerSecond,
    one.acceptedPerSecond,
    Object.entries(one.statuses)
      .map(([status, count]) => `${count} ${status}`)
      .join(', '),
    `${text(one.acceptedP50Ms)}, ${text(one.acceptedP99Ms)}`,
    `${text(one.probe.before.p50Ms)}, ${text(one.probe.before.p99Ms)}`,
    `${text(one.probe.meanwhile.p50Ms)}, ${text(one.probe.meanwhile.p99Ms)}`,
    `${one.memory.firstMib}, ${one.memory.mostMib}`,
    text(one.backMs),
  ])
  return markdownTable(header, rows)
}

function nuisanceTable({ figures }: NuisanceRun): string {
  const header = [
    'nuisance',
    'clients',
    'ended by the service',
    'seconds',
    "others' writes: p50, p99 ms",
    'memory before, most MiB',
  ]
  const rows = figures.map((one) => [
    one.name,
    one.clients,
    one.ended,
    one.seconds,
    `${text(one.p50Ms)}, ${text(one.p99Ms)}`,
    `${one.memory.firstMib}, ${one.memory.mostMib}`,
  ])
  return markdownTable(header, rows)
}

function greedyTable({ figures }: GreedyKeyRun): string {
  const header = ['flood of one key', 'connections', "another key's answers", "another key's: p50, p99 ms"]
  const rows = figures.map((one) => [
    one.name,
    one.connections,
    Object.entries(one.statuses)
      .map(([status, count]) => `${count} ${status}`)
      .join(', '),
    `${text(one.p50Ms)}, ${text(one.p99Ms)}`,
  ])
  return markdownTable(header, rows)
}

const text = (ms: number | null) => (ms === null ? '-' : ms)
