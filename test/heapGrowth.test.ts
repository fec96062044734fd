import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { expect, test } from 'vitest'

const source = fileURLToPath(new URL('../src/runtime/heapGrowth.ts', import.meta.url))

/** Some 15 MB that stay alive while their parts are replaced again and again. */
const replaceParts = `
  const part = (n) => ({ n, text: [n, n + 1, n + 2, n + 3] })
  const alive = Array.from({ length: 100_000 }, (_, n) => part(n))
  for (let n = 0; n < 6_000_000; n += 1) alive[(n * 7_919) % alive.length] = part(n)
  console.log(alive.length, alive[7].n)
`

/**
 * How often V8 collects the old generation. In a process of its own, without threads that collect beside the program: the
 * count follows from what is allocated, and not from how fast the machine is.
 */
async function collections(percent: number): Promise<number> {
  const bundle = await rolldown({ input: source, platform: 'node' })
  const { output } = await bundle.generate({ format: 'esm' })
  await bundle.close()
  const program = `${output[0].code}\nboundHeapGrowth(${percent})\n${replaceParts}`
  const flags = ['--trace-gc', '--single-threaded-gc', '--input-type=module']
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--eval', program])
  return stdout.split('\n').filter((line) => line.includes('Mark-Compact')).length
}

test('a bound on the growth of the heap has V8 collect the more often, the closer it is', async () => {
  const [close, wide] = await Promise.all([collections(50), collections(400)])
  expect(wide).toBeGreaterThan(0)
  // 13 times, and 5.
  expect(close).toBeGreaterThan(1.5 * wide)
})
