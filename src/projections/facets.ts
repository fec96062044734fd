import type { OperationState } from '../operation/state.ts'
import { anyTrack } from './countedStatuses.ts'
import type { Shape } from './shape.ts'

/**
 * Theme and metadata as 32-bit numbers, one for each pair of name and value, for one small index over all of them, and the
 * status where the shape does not name it. Two pairs may share a number: a query looks at the row as well.
 *
 * Only top-level members with a string, number or boolean take part; numbers as JSON writes them.
 */
export function facetsOf(
  { theme, metadata: { value: metadata }, tracks }: Pick<OperationState, 'theme' | 'metadata' | 'tracks'>,
  { isOther }: Pick<Shape, 'isOther'>,
): readonly number[] {
  const facets: number[] = []
  const status = isOther ? tracks[anyTrack]?.status : undefined
  if (typeof status === 'string') facets.push(statusFacet(status))
  if (theme !== null) facets.push(themeFacet(theme))
  for (const member of Object.keys(metadata)) {
    const value = metadata[member]
    if (typeof value === 'string') facets.push(metadataFacet(member, value))
    else if (typeof value === 'number' || typeof value === 'boolean') facets.push(metadataFacet(member, String(value)))
  }
  return facets
}

export function themeFacet(theme: string): number {
  return fnv1a(`t\n${theme}`)
}

export function metadataFacet(member: string, value: string): number {
  return fnv1a(`m\n${member}\n${value}`)
}

export function statusFacet(status: string): number {
  return fnv1a(`s\n${status}`)
}

/** FNV-1a over UTF-16 code units, as a signed integer: spread is all that is asked of it. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash | 0
}
