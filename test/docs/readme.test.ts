import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type Service, startService } from '../../src/service.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { curlRequest, readmeCommands, withoutRunDetails } from './readmeCommands.ts'

const root = new URL('../../', import.meta.url)
const readme = await readFile(new URL('README.md', root), 'utf8')
const commands = readmeCommands(readme)
const curls = commands.filter(({ words }) => words[0] === 'curl')

const quiet = () => undefined
const logger = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet }

describe('README', () => {
  let database: TestDatabase
  let service: Service

  beforeAll(async () => {
    database = await createTestDatabase()
    const config = readConfig({ DATABASE_URL: database.connectionString, WAYBILL_PORT: '0' })
    service = await startService({ config, logger })
  })

  afterAll(async () => {
    await service.stop()
    await database.drop()
  })

  it('shows calls whose answers are those of a fresh service', async () => {
    expect(curls).toHaveLength(3)
    for (const { words, answer } of curls) {
      const response = await fetch(curlRequest(words, service.url))
      const body: unknown = await response.json()
      expect({ words, answer: withoutRunDetails(body) }).toEqual({ words, answer: withoutRunDetails(answer) })
      expect(response.ok).toBe(true)
    }
  })

  it('names only npm scripts that exist; `npm test` is this run, and .ci/run has the others', async () => {
    const { scripts } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'))
    const others = commands.filter((command) => !curls.includes(command))
    for (const { words } of others) {
      const [program, verb = '', name = ''] = words
      expect(program, words.join(' ')).toBe('npm')
      if (verb !== 'ci') expect(Object.keys(scripts)).toContain(verb === 'run' ? name : verb)
    }
    const lines = others.map(({ words }) => words.join(' '))
    expect(lines).toEqual(expect.arrayContaining(['npm ci', 'npm start', 'npm test', 'npm run demo']))
  })

  it('calls the command line as it is called in a clone', async () => {
    const { name, bin } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'))
    expect([name, bin.waybill]).toEqual(['waybill', 'dist/cli/main.js'])
    const called = [...readme.matchAll(/`npx waybill ([a-z-]+)[^`]*`/g)].map(([, verb = '']) => verb)
    expect(called).toContain('serve')
    const program = await readFile(new URL('src/cli/main.ts', root), 'utf8')
    for (const verb of called.filter((verb) => !verb.startsWith('-'))) expect(program).toContain(`${verb}Command()`)
  })

  it('links to and names only files that exist', () => {
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path = '']) => path)
    const named = [...readme.matchAll(/`((?:test|src|docs|bench|\.ci)\/[^`\s]+)`/g)].map(([, path = '']) => path)
    expect(links.length).toBeGreaterThan(4)
    expect(named.length).toBeGreaterThan(6)
    for (const path of [...links, ...named]) expect(existsSync(new URL(path, root)), path).toBe(true)
  })
})
