import { statfs } from 'node:fs/promises'
import { totalmem } from 'node:os'

const MiB = 1024 * 1024
const GiB = 1024 * MiB

/**
 * The server's settings, given on its command line so that they hold whatever postgresql.conf says.
 *
 * Durability (correctness.md row 6) is spelled out, not left to defaults. WAL: with 2 GiB of segments kept for reuse,
 * appends' p99 was 8 ms instead of 40 ms (performance.md); a disk with less than 20 GiB free keeps 256 MiB, at most 1 GiB.
 * Memory: an eighth of what there is, 64 to 512 MiB; the hot end of the log and the read model fit, and the operating
 * system caches the rest.
 */
export async function serverSettings(dataDir: string): Promise<Record<string, string>> {
  const free = await statfs(dataDir).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  )
  const roomy = free >= 20 * GiB
  const memory = Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY)
  const sharedBuffers = Math.min(512, Math.max(64, Math.floor(memory / 8 / MiB)))
  return {
    listen_addresses: '127.0.0.1',
    // No socket files: their paths are limited to 107 bytes, and a folder for them would need guarding.
    unix_socket_directories: '',
    max_connections: '100',
    // A cluster that was restored from a base backup is let in to when it has recovered, not read-only before that.
    hot_standby: 'off',
    password_encryption: 'scram-sha-256',
    fsync: 'on',
    full_page_writes: 'on',
    synchronous_commit: 'on',
    shared_buffers: `${sharedBuffers}MB`,
    min_wal_size: roomy ? '2GB' : '256MB',
    max_wal_size: roomy ? '4GB' : '1GB',
    checkpoint_timeout: '15min',
    random_page_cost: '1.1',
    // Short statements only: compiling them costs more than running them.
    jit: 'off',
    // What a dead client left waiting for a lock must not land later (correctness.md row 4). Not to be had on Windows.
    ...(process.platform === 'win32' ? {} : { client_connection_check_interval: '1s' }),
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] %a ',
    log_checkpoints: 'off',
    // No DETAIL: it quotes rows, and with them documents.
    log_error_verbosity: 'terse',
    max_logical_replication_workers: '0',
    logging_collector: 'off',
  }
}
