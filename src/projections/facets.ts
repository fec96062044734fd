import type { JsonObject } from '../operation/json.ts'

/**
 * Theme and metadata as 32-bit numbers, one for each pair of name and value, for one small index over all of them.
 * Two pairs may share a number: a query looks at the row as well.
 *
 * Only top-level members with a string, number or boolean take part; numbers as JSON writes them.
 */
export function facetsOf(theme: string | null, metadata: JsonObject): readonly number[] {
  const facets: number[] = []
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

/** FNV-1a over UTF-16 code units, as a signed integer: spread is all that is asked of it. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash | 0
}
