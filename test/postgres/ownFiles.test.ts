import { spawnSync } from 'node:child_process'
import { constants } from 'node:fs'
import { lchown, mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, inject, test } from 'vitest'
import { lockDirectory } from '../../src/postgres/embedded/directoryLock.ts'
import { createOwn, openOwn, readOwn, requireOwnPath } from '../../src/postgres/embedded/ownFiles.ts'
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts'

let folder: string
/** What a link leads to: nothing may happen to it. */
let kept: string
beforeEach(async () => {
  folder = await mkdtemp(join(inject('scratchDirectory'), 'own-'))
  kept = join(await mkdtemp(join(inject('scratchDirectory'), 'kept-')), 'kept')
  await writeFile(kept, 'kept\n', { mode: 0o644 })
})

test('no link is opened, read or written through', async () => {
  const path = join(folder, 'file')
  await symlink(kept, path)
  await expect(readOwn(path)).rejects.toThrow('ELOOP')
  await expect(openOwn(path, constants.O_WRONLY | constants.O_CREAT)).rejects.toThrow('ELOOP')
  const file = await createOwn(path)
  await file.writeFile('new\n')
  await file.close()
  expect(await readFile(path, 'utf8')).toBe('new\n')
  expect(await readFile(kept, 'utf8')).toBe('kept\n')
  expect((await stat(kept)).mode & 0o777).toBe(0o644)
})

test('a file is for its user alone, also one that was there and was not', async () => {
  const path = join(folder, 'file')
  await writeFile(path, 'a secret\n')
  expect(await readOwn(path)).toBe('a secret\n')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  await (await createOwn(path)).close()
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test.skipIf(process.platform === 'win32')('a pipe is no file, and keeps nobody waiting', async () => {
  const path = join(folder, 'pipe')
  expect(spawnSync('sh', ['-c', 'mkfifo "$0"', path]).status).toBe(0)
  await expect(readOwn(path)).rejects.toThrow(`${path} is no file`)
})

test('the folder of the lock is none where its name is a link', async () => {
  const elsewhere = await mkdtemp(join(inject('scratchDirectory'), 'elsewhere-'))
  await symlink(elsewhere, join(folder, 'lock'))
  await expect(lockDirectory(folder)).rejects.toThrow('is a link, and must be a folder')
  expect(await readdir(elsewhere)).toEqual([])
})

test.runIf(process.getuid?.() === 0)(
  'root goes through no link that another user has laid, and through its own',
  async () => {
    const elsewhere = await mkdtemp(join(inject('scratchDirectory'), 'elsewhere-'))
    await mkdir(join(elsewhere, 'below'))
    const link = join(folder, 'link')
    await symlink(elsewhere, link)
    for (const path of [link, join(link, 'below'), join(link, 'not', 'there', 'yet')]) await requireOwnPath(path)
    await lchown(link, 65_534, 65_534)
    for (const path of [link, join(link, 'below'), join(link, 'not', 'there', 'yet')])
      await expect(requireOwnPath(path)).rejects.toThrow(`${link} is a link of another user (65534)`)
    await expect(startEmbeddedPostgres({ dataDir: join(link, 'data') })).rejects.toThrow('is a link of another user')
    expect(await readdir(elsewhere)).toEqual(['below'])
  },
)
