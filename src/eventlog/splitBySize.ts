/** Parts in order, each as large as it may be. What is larger by itself is a part of its own. */
export function* splitBySize<T>(items: readonly T[], sizeOf: (item: T) => number, sizeMax: number): Generator<T[]> {
  let part: T[] = []
  let size = 0
  for (const item of items) {
    const more = sizeOf(item)
    if (part.length > 0 && size + more > sizeMax) {
      yield part
      part = []
      size = 0
    }
    part.push(item)
    size += more
  }
  if (part.length > 0) yield part
}
