// Medians, spreads and ratios. A ratio is taken within each round, where the parties stood next to each other in time,
// and only then the median: the machine's drift over minutes cancels out.
export function median(values) {
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function summarise(turns) {
  return groups(turns).map(({ party, connections, own }) => {
    const rates = own.map((turn) => turn.perSecond)
    const of = (member) => (own.some((turn) => turn[member] === null) ? null : median(own.map((turn) => turn[member])))
    return {
      party,
      connections,
      rounds: own.length,
      perSecond: median(rates),
      perSecondMin: Math.min(...rates),
      perSecondMax: Math.max(...rates),
      p50Ms: of('p50Ms'),
      p99Ms: of('p99Ms'),
      nodeUs: of('nodeUs'),
      postgresUs: of('postgresUs'),
      behindMs: of('behindMs'),
    }
  })
}

export function ratiosOf(turns) {
  const ratios = []
  for (const { party, connections, own } of groups(turns)) {
    for (const base of groups(turns)) {
      if (party !== 'waybill' || base.party === party || base.connections !== connections) continue
      const each = own.map((turn, round) => turn.perSecond / base.own[round].perSecond)
      ratios.push({
        connections,
        of: party,
        to: base.party,
        ratio: median(each),
        min: Math.min(...each),
        max: Math.max(...each),
      })
    }
  }
  return ratios
}

function groups(turns) {
  const found = new Map()
  for (const turn of turns) {
    const name = `${turn.party} ${turn.connections}`
    const group = found.get(name) ?? { party: turn.party, connections: turn.connections, own: [] }
    group.own.push(turn)
    found.set(name, group)
  }
  return [...found.values()]
}

export function printTable(summaries, ratios, parties) {
  const rows = [
    [
      'connections',
      'party',
      'reports/s',
      '(min - max)',
      'p50 ms',
      'p99 ms',
      'us node',
      'us PostgreSQL',
      'read after ms',
    ],
    ...summaries.map((row) => [
      `${row.connections}`,
      parties[row.party].title,
      Math.round(row.perSecond).toLocaleString('en-US'),
      `(${Math.round(row.perSecondMin)} - ${Math.round(row.perSecondMax)})`,
      fixed(row.p50Ms, 1),
      fixed(row.p99Ms, 1),
      fixed(row.nodeUs, 1),
      fixed(row.postgresUs, 1),
      row.party === 'waybill' ? fixed(row.behindMs, 0) : '-',
    ]),
  ]
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) process.stdout.write(`${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}\n`)
  process.stdout.write('\n')
  for (const { connections, to, ratio, min, max } of ratios) {
    process.stdout.write(
      `${connections} connections: Waybill takes ${ratio.toFixed(2)} times what the ${parties[to].title} takes (${min.toFixed(2)} - ${max.toFixed(2)})\n`,
    )
  }
}

function fixed(value, digits) {
  return value === null ? '-' : value.toFixed(digits)
}
