/**
 * `list` with `item` behind it; null is an empty list. Most of the lists made per command hold one item, and the first
 * push onto an empty array would make room for seventeen.
 */
export function plus<T>(list: T[] | null, item: T): T[] {
  if (list === null || list.length === 0) return [item]
  list.push(item)
  return list
}
