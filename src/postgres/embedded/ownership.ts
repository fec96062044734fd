import { chown, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Gives what root has made to the owner of the folder it is in: Waybill run by its user must still get at it after it was
 * run once as root.
 */
export async function giveToFolderOwner(path: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = await stat(dirname(path))
  if (uid !== 0) await chown(path, uid, gid)
}
