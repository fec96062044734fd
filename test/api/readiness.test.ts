import { expect, test } from 'vitest'
import { Readiness, type ReadinessContext } from '../../src/api/readiness.ts'
import { eventually, startApi } from './apiHarness.ts'

function context(answers: {
  readonly head: () => Promise<bigint>
  readonly checkpoint: () => Promise<bigint>
}): ReadinessContext {
  return {
    log: { head: answers.head },
    readModel: { checkpoint: answers.checkpoint },
    projector: { status: () => ({ phase: 'live', paused: false }) },
    draining: new AbortController().signal,
  }
}

test('however many ask, a store is asked once, and once again when it did not answer', async () => {
  const asked = { head: 0, checkpoint: 0 }
  let isDown = true
  const readiness = new Readiness(
    context({
      head: async () => {
        asked.head += 1
        return 1n
      },
      checkpoint: () => {
        asked.checkpoint += 1
        return isDown ? Promise.reject(new Error('down')) : Promise.resolve(1n)
      },
    }),
  )
  const okOf = (checks: readonly { readonly name: string; readonly ok: boolean }[]) =>
    checks.find(({ name }) => name === 'read model')?.ok
  const all = await Promise.all(Array.from({ length: 100 }, () => readiness.check()))
  expect(all.map(okOf)).toEqual(all.map(() => false))
  expect(asked).toEqual({ head: 1, checkpoint: 1 })
  isDown = false
  expect(okOf(await readiness.check())).toBe(true)
  expect(asked.checkpoint).toBe(2)
  expect(okOf(await readiness.check())).toBe(true)
  expect(asked.checkpoint).toBe(2)
})

test('what a look found is told to who may read; strangers learn whether it passed', async () => {
  const api = await startApi()
  try {
    await eventually(
      () => api.send('GET', '/readyz'),
      ({ status }) => status === 200,
    )
    const { body } = await api.send('POST', '/v1/keys', { name: 'admin', roles: ['operator'] })
    const operator = { authorization: `Bearer ${body.key}` }
    const made = await api.send('POST', '/v1/keys', { name: 'ocr', roles: ['service'] }, operator)
    const checks = async (headers: Record<string, string>) =>
      (await api.send('GET', '/readyz?verbose', undefined, headers)).body.checks
    expect((await checks(operator))[0]).toEqual({ name: 'service', ok: true, detail: 'It takes requests.' })
    for (const headers of [{}, { authorization: 'Bearer none' }, { authorization: `Bearer ${made.body.key}` }]) {
      expect((await checks(headers))[0]).toEqual({ name: 'service', ok: true })
    }
  } finally {
    await api.close()
  }
})
