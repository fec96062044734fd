import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { childEnvironment } from './childEnvironment.ts'
import { EmbeddedPostgresError } from './errors.ts'

/** The system user that PostgreSQL runs as when Waybill itself runs as root, which PostgreSQL refuses to. */
export interface ServerUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

const CANDIDATES = ['postgres', '_postgres', 'nobody']

/**
 * Null: PostgreSQL runs as whoever runs Waybill. As root: the owner of the cluster, or, for a new one, the first there is
 * of `postgres`, `_postgres` and `nobody`. initdb wants a user that /etc/passwd knows.
 */
export async function chooseServerUser(clusterDirectory: string): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null
  const users = readUsers()
  const clusterOwner = await stat(clusterDirectory).catch(() => null)
  if (clusterOwner !== null && clusterOwner.uid !== 0) {
    const name = users.find((user) => user.uid === clusterOwner.uid)?.name ?? String(clusterOwner.uid)
    return { name, uid: clusterOwner.uid, gid: clusterOwner.gid }
  }
  for (const candidate of CANDIDATES) {
    const user = users.find(({ name }) => name === candidate)
    if (user !== undefined) return user
  }
  throw new EmbeddedPostgresError(
    `Waybill runs as root. PostgreSQL refuses to, and there is none of the users ${CANDIDATES.join(', ')} for it to run as. ` +
      'Create a user named postgres, run Waybill as a plain user, or set DATABASE_URL.',
  )
}

function readUsers(): ServerUser[] {
  let text: string
  try {
    text = readFileSync('/etc/passwd', 'utf8')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid] = line.split(':')
    if (name === undefined || uid === undefined || gid === undefined || !(Number(uid) > 0)) return []
    return [{ name, uid: Number(uid), gid: Number(gid) }]
  })
}

/**
 * Whether the user can reach a file or folder: asked of the kernel by a process of that user, since access lists, mounts
 * and every parent folder have a say.
 */
export function canReach(user: ServerUser | null, path: string, need: 'execute' | 'enter'): boolean {
  if (user === null) return true
  const test = need === 'execute' ? '[ -x "$0" ] && [ -r "$0" ]' : '[ -d "$0" ] && [ -x "$0" ]'
  const { status } = spawnSync('/bin/sh', ['-c', test, path], {
    uid: user.uid,
    gid: user.gid,
    cwd: '/',
    env: childEnvironment,
    stdio: 'ignore',
  })
  return status === 0
}
