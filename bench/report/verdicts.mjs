// What a figure came to, beside what it should.

/** The memory of the service process in every figure that has one, with default limits. */
export const memoryTarget = {
  id: 'memory',
  what: "the service's memory, the most seen",
  unit: 'MB',
  less: true,
  reach: 350,
  aim: 250,
}

/** @returns {'aim' | 'reached' | 'missed' | 'not run' | '-'} '-': there is no target, the value is for comparison */
export function verdictOn({ less = false, reach, aim }, value) {
  if (value === undefined || value === null) return 'not run'
  if (reach === undefined) return '-'
  const met = (target) => (less ? value <= target : value >= target)
  if (met(aim)) return 'aim'
  return met(reach) ? 'reached' : 'missed'
}

function reasonOf(id, { error, notRun }) {
  if (error !== null) return 'it broke'
  return notRun?.[id] ?? 'not asked for'
}

/**
 * @param figure one of figures/
 * @param result what its run came to: `values` by the ids of its targets, `notRun` with a reason for each that has none
 */
export function judge(figure, result) {
  const line = (target, measured) => ({
    ...target,
    ...measured,
    verdict: verdictOn(target, measured?.value),
    ...(measured === undefined ? { reason: reasonOf(target.id, result) } : {}),
  })
  const lines = figure.targets.map((target) => line(target, result.values[target.id]))
  if (result.memoryMb !== null) lines.push(line(memoryTarget, { value: result.memoryMb }))
  return { figure: figure.name, title: figure.title, alone: `npm run bench -- ${figure.name}`, lines, ...result }
}
