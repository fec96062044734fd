/** RFC 6901: `~` and `/` within a name are written `~0` and `~1`. The empty pointer is the whole document. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
