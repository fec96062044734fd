/** The embedded PostgreSQL cannot be started or used; the message is one a person can act on. */
export class EmbeddedPostgresError extends Error {
  override readonly name: string = 'EmbeddedPostgresError'
}

/** Another live process works on the directory. */
export class DirectoryInUseError extends EmbeddedPostgresError {
  override readonly name = 'DirectoryInUseError'
  readonly directory: string
  /** Of the holder, in its own container or machine. */
  readonly pid: number

  constructor(directory: string, pid: number, host: string | null = null) {
    super(
      `The directory ${directory} is in use by another Waybill: process ${pid}${host === null ? '' : ` on ${host}`}. ` +
        'Stop that one first, or give this one a directory of its own (WAYBILL_DATA_DIR).',
    )
    this.directory = directory
    this.pid = pid
  }
}
