import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { lockDirectory } from '../../src/postgres/embedded/directoryLock.ts'
import { DirectoryInUseError } from '../../src/postgres/embedded/errors.ts'
import { processIdentity, processSpace } from '../../src/postgres/embedded/processIdentity.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(inject('scratchDirectory'), 'lock-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function claim(name: string, held = true): Promise<string> {
  const path = join(directory, 'lock', name)
  await mkdir(join(directory, 'lock'), { recursive: true })
  await writeFile(path, JSON.stringify({ held, host: 'elsewhere' }))
  return path
}

test('a second holder is refused by name until the first lets go', async () => {
  const first = await lockDirectory(directory)
  const refusal = await lockDirectory(directory).catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(DirectoryInUseError)
  expect(refusal).toMatchObject({ pid: process.pid, directory })
  expect(String(refusal)).toContain(`The directory ${directory} is in use by another Waybill: process ${process.pid}.`)
  await first.release()
  const second = await lockDirectory(directory)
  await second.release()
  expect(await readdir(join(directory, 'lock'))).toEqual([])
})

test('of sixteen who try at once exactly one holds it', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 16 }, () => lockDirectory(directory)))
  const holders = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  expect(holders).toHaveLength(1)
  for (const holder of holders) await holder.release()
})

test('the claim of a dead process holds nothing', async () => {
  await claim(`2147483646-${processIdentity(process.pid)}-${processSpace()}-0123456789ab`)
  const lock = await lockDirectory(directory)
  expect(await readdir(join(directory, 'lock'))).toHaveLength(1)
  await lock.release()
})

test('a process that was given a dead holder’s id holds nothing', async () => {
  await claim(`${process.pid}-anEarlierStart-${processSpace()}-0123456789ab`)
  const lock = await lockDirectory(directory)
  await lock.release()
})

test('a holder in another container is recognised by its heartbeat', async () => {
  const path = await claim('1-someStart-otherSpace-0123456789ab')
  let beat = 0
  const heartbeat = setInterval(() => {
    beat += 1
    utimes(path, beat, beat).catch(() => undefined)
  }, 20)
  try {
    await expect(lockDirectory(directory)).rejects.toThrow('process 1 on elsewhere')
  } finally {
    clearInterval(heartbeat)
  }
})

test('a silent claim from another container ends', async () => {
  await claim('1-someStart-otherSpace-0123456789ab')
  const lock = await lockDirectory(directory, { silenceMs: 300 })
  expect(await readdir(join(directory, 'lock'))).toHaveLength(1)
  await lock.release()
})
