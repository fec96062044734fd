import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const workflow = z.object({
  permissions: z.strictObject({ contents: z.literal('read') }),
  jobs: z.record(
    z.string(),
    z.object({
      'runs-on': z.string().regex(/-\d+\.\d+$/),
      'timeout-minutes': z.int().positive(),
      strategy: z.object({ matrix: z.object({ node: z.array(z.union([z.string(), z.number()])) }) }).optional(),
      steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional() })),
    }),
  ),
})

const read = (name: string) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8')
const text = await read('.github/workflows/ci.yml')
const { jobs } = workflow.parse(parse(text))
const runs = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = '' }) => (run === '' ? [] : [run])))

test('the workflow runs .ci/run, and the oldest Node.js that the package is for is among those it tries', async () => {
  const { engines, scripts } = JSON.parse(await read('package.json'))
  expect(runs.some((command) => command.endsWith('bash .ci/run'))).toBe(true)
  expect(jobs.demo?.strategy?.matrix.node).toContain(engines.node.replace('>=', ''))
  for (const [, name = ''] of runs.join('\n').matchAll(/npm run (\S+)/g)) expect(Object.keys(scripts)).toContain(name)
})

test('every action is pinned to a commit, with its version beside it', () => {
  const uses = text.split('\n').filter((line) => line.includes('uses:'))
  expect(uses.length).toBeGreaterThan(0)
  for (const line of uses) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
})
