/**
 * Without a listener Node ends a process with a stack trace when its output cannot be written: because who read it has
 * left (`waybill keys list | head -1`), or because a disk is full. `onFailed` is told of the first failure of a stream.
 */
export function whenOutputFails(stream: NodeJS.WriteStream, onFailed: (error: NodeJS.ErrnoException) => void): void {
  let failed = false
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (failed) return
    failed = true
    onFailed(error)
  })
}

export function isClosedPipe({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EPIPE'
}
