import { chmod, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, inject, test, vi } from 'vitest'
import { environmentOfOwn } from '../../src/demo/ownWaybill.ts'
import { binariesIn } from '../../src/postgres/embedded/binaries.ts'
import { installBinaries } from '../../src/postgres/embedded/installBinaries.ts'

// Helper processes get an environment that is listed: whatever secret this process was given stays with it.

const src = fileURLToPath(new URL('../../src/', import.meta.url))
const starter = /\b(?:spawn|spawnSync|exec|execSync|execFile|execFileSync|fork)\(/g

/** The text of each call in a source that starts a process, from its name to the bracket that closes it. */
function startsIn(source: string): string[] {
  return [...source.matchAll(starter)].map(({ index }) => {
    let depth = 0
    for (let end = index; end < source.length; end += 1) {
      if (source[end] === '(') depth += 1
      if (source[end] === ')') depth -= 1
      if (source[end] === ')' && depth === 0) return source.slice(index, end + 1)
    }
    return source.slice(index)
  })
}

test('every process that Waybill starts is given a listed environment', async () => {
  const files = (await readdir(src, { recursive: true })).filter((file) => file.endsWith('.ts'))
  const sources = await Promise.all(
    files.map(async (file) => ({ file, text: await readFile(join(src, file), 'utf8') })),
  )
  const starts = sources
    .filter(({ text }) => text.includes("from 'node:child_process'"))
    .flatMap(({ file, text }) => startsIn(text).map((call) => ({ file, call })))
  expect(starts.length).toBeGreaterThan(5)
  const isListed = ({ call }: { call: string }) =>
    /\benv: (childEnvironment\b|\{\s*\.\.\.environmentOfOwn\()/.test(call) && !/\.\.\.process\.env\b/.test(call)
  expect(starts.filter((start) => !isListed(start))).toEqual([])
})

test.skipIf(process.platform === 'win32')('a program that is tried out sees no secret', async () => {
  vi.stubEnv('DATABASE_URL', 'postgres://waybill:a-secret@127.0.0.1/waybill')
  const directory = await mkdtemp(join(inject('scratchDirectory'), 'programs-'))
  const binaries = { ...binariesIn(directory, '18.4.0'), postgres: join(directory, 'postgres') }
  await writeFile(binaries.postgres, '#!/bin/sh\nenv >&2\nexit 1\n')
  await chmod(binaries.postgres, 0o755)
  const refusal = await installBinaries(binaries, null, () => undefined).catch((error: unknown) => String(error))
  vi.unstubAllEnvs()
  // It has said what it sees.
  expect(refusal).toContain('LC_ALL=C')
  expect(refusal).not.toContain('a-secret')
})

test('the demo gives its service where the machine has its things, and nothing that it was told itself', () => {
  const told = {
    PATH: '/bin',
    HOME: '/home/somebody',
    WAYBILL_KEY: 'k',
    DATABASE_URL: 'u',
    PGPASSWORD: 'p',
    TOKEN: 't',
  }
  expect(environmentOfOwn(told)).toEqual({ PATH: '/bin', HOME: '/home/somebody' })
})
