import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuiltService } from '../../nodes/support/builtService.ts'
import { mountImage, unmount } from '../support/mounts.ts'
import { type PreparedServer, prepareServer } from '../support/preparedServer.ts'
import { SupervisedNode } from '../support/supervisedNode.ts'
import { type DiskKind, makeImage, mountPointIn, PowerDisk } from './powerDisk.ts'
import { PowerServer } from './powerServer.ts'

/** A disk with a database that has the service's tables and nothing in them, to be copied: one run after the other. */
export interface PowerBase {
  readonly image: string
  readonly diskFolder: string
  readonly server: PreparedServer
}

/** A disk small enough to be copied in no time. */
const settings = { min_wal_size: '80MB', max_wal_size: '256MB' }
export const startTimeoutMs = 60_000

export async function makePowerBase(service: BuiltService, folder: string): Promise<PowerBase> {
  await mkdir(folder, { mode: 0o711 })
  const image = join(folder, 'base.img')
  const diskFolder = join(folder, 'disk')
  const mountPoint = mountPointIn(diskFolder)
  await makeImage(image)
  await mkdir(diskFolder, { mode: 0o711 })
  await mountImage(image, mountPoint)
  const logFile = join(folder, 'postgres.log')
  const server = await prepareServer(join(mountPoint, 'data'), { settings, logFile })
  const running = await PowerServer.start(server)
  const node = await SupervisedNode.start(service, 'maker', { DATABASE_URL: server.connectionString })
  await node.ready(startTimeoutMs)
  await node.stop()
  await running.stop()
  await unmount(mountPoint)
  return { image, diskFolder, server }
}

/** A copy of the base at work; its settings as given. */
export async function startOnCopy(
  { image, diskFolder, server }: PowerBase,
  kind: DiskKind,
  changed: Readonly<Record<string, string>> = {},
): Promise<{ readonly disk: PowerDisk; readonly server: PowerServer }> {
  const disk = await PowerDisk.copyOf(image, diskFolder, kind)
  const { start, connectionString } = server
  const changedStart = { ...start, settings: { ...start.settings, ...changed } }
  return { disk, server: await PowerServer.start({ connectionString, start: changedStart }) }
}
