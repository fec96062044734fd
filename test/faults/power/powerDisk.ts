import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { mountImage, unmount } from '../support/mounts.ts'
import { run } from '../support/run.ts'

/** What a disk is made and cut with. perl, because Node cannot call ioctl; every Debian has it. */
export const powerDiskPrograms = ['mkfs.ext4', 'mount', 'umount', 'losetup', 'truncate', 'cp', 'perl'] as const

/**
 * `writeThrough`: what was written to the device is there after a power cut; what the file system still held in memory is
 * not. `writeBack`: the device has a cache of its own, and loses of it what nobody had it flush.
 */
export type DiskKind = 'writeThrough' | 'writeBack'

const imageMiB = 1_024
/** The device's cache is the page cache of a second file system around the first, in which the first one's image lies. */
const outerMiB = imageMiB + 256

/** From linux/fs.h and fs/ext4/ext4.h: FS_IOC_SHUTDOWN, and that the journal is not written either. */
const shutdownProgram =
  'open(my $fs, "<", $ARGV[0]) or die $!; my $how = pack("L", 2); ioctl($fs, 0x8004587D, $how) or die $!'

/**
 * ext4 in an image, by way of a loop device. To cut its power, the file system is shut down where it stands: from that
 * instant on every write and every fsync fails, and what was in memory only never comes out of it. The image is then copied
 * as it is, and the copy is mounted in its place.
 */
export class PowerDisk {
  readonly mountPoint: string
  readonly #folder: string
  readonly #kind: DiskKind
  #generation = 0

  /** With a copy of a file system that makeImage has made. */
  static async copyOf(image: string, folder: string, kind: DiskKind): Promise<PowerDisk> {
    await mkdir(folder, { recursive: true, mode: 0o711 })
    const disk = new PowerDisk(folder, kind)
    if (kind === 'writeBack') {
      await makeImage(disk.#image, outerMiB)
      await mountImage(disk.#image, disk.#outer)
    }
    await run('cp', ['--sparse=always', image, disk.#innerImage])
    await settle(disk.#innerImage)
    await mountImage(disk.#innerImage, disk.mountPoint)
    return disk
  }

  private constructor(folder: string, kind: DiskKind) {
    this.#folder = folder
    this.#kind = kind
    this.mountPoint = mountPointIn(folder)
  }

  /** From now on nothing gets to the disk any more. */
  async cut(): Promise<void> {
    if (this.#kind === 'writeBack') await shutDown(this.#outer)
    await shutDown(this.mountPoint)
  }

  /** Goes on with a copy of what the cut has left. Nothing may work on the disk. */
  async powerUp(): Promise<void> {
    const left = this.#image
    this.#generation += 1
    // Before anything is unmounted: an unmount must not bring anything to the image that the cut did not leave there.
    await run('cp', ['--sparse=always', left, this.#image])
    await this.#unmount()
    await rm(left)
    if (this.#kind === 'writeBack') await mountImage(this.#image, this.#outer)
    await mountImage(this.#innerImage, this.mountPoint)
  }

  async remove(): Promise<void> {
    await this.#unmount()
    await rm(this.#folder, { recursive: true })
  }

  async #unmount(): Promise<void> {
    await unmount(this.mountPoint)
    if (this.#kind === 'writeBack') await unmount(this.#outer)
  }

  get #image(): string {
    return join(this.#folder, `${this.#generation}.img`)
  }

  get #outer(): string {
    return join(this.#folder, 'outer')
  }

  get #innerImage(): string {
    return this.#kind === 'writeBack' ? join(this.#outer, 'inner.img') : this.#image
  }
}

/** An empty file system. */
export async function makeImage(image: string, sizeMiB = imageMiB): Promise<void> {
  await run('truncate', [`--size=${sizeMiB}M`, image])
  await run('mkfs.ext4', ['-q', '-F', '-N', '8192', '-E', 'lazy_itable_init=0', image])
}

/** Where a disk in this folder is mounted. */
export function mountPointIn(folder: string): string {
  return join(folder, 'mounted')
}

/** What is on a disk before it is used is on it for good. */
function settle(file: string): Promise<string> {
  return run('sync', [file])
}

function shutDown(mountPoint: string): Promise<string> {
  return run('perl', ['-e', shutdownProgram, mountPoint])
}
