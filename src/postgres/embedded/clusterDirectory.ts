import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Of the embedded server, in its data directory. */
export function clusterDirectoryOf(dataDir: string): string {
  return join(dataDir, 'postgres')
}

/** Whether a server was ever made there. False too where nobody may look. */
export function hasCluster(dataDir: string): boolean {
  return existsSync(join(clusterDirectoryOf(dataDir), 'PG_VERSION'))
}
