import { type Problem, ProblemError } from './problem.ts'

export const ndjson = 'application/x-ndjson'

/** The names that lines of JSON go by. */
export const ndjsonTypes = [ndjson, 'application/ndjson', 'application/jsonl'] as const

const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i

/** JSON is UTF-8 (RFC 8259): anything else is 415. Throws ProblemError. */
export function requireUtf8(contentType: string | undefined): void {
  if (contentType === undefined || contentType.length <= 'application/json'.length) return
  const [, name] = charset.exec(contentType) ?? []
  if (name !== undefined && name.toLowerCase() !== 'utf-8') {
    throw new ProblemError({ code: 'unsupported_media_type', detail: 'The only charset is utf-8.' })
  }
}

/** What a path that takes `types` says to a body of another one, or of none. */
export function unsupportedType(types: readonly string[], given: string | undefined): Problem {
  const need = given === undefined ? 'A body needs a Content-Type. ' : ''
  return {
    code: 'unsupported_media_type',
    detail: `${need}This path takes ${types.join(', ')}.`,
    accept: types.join(', '),
  }
}

interface Range {
  readonly type: string
  /** 0: refused. */
  readonly quality: number
}

function acceptedRanges(accept: string): Range[] {
  const ranges: Range[] = []
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (!Number.isNaN(quality)) ranges.push({ type, quality })
  }
  return ranges
}

/** How much `type` is wanted: as the narrowest range says that covers it (RFC 9110, section 12.5.1); 0: not at all. */
function qualityOf(ranges: readonly Range[], type: string): number {
  const names = [type, `${type.split('/', 1)[0]}/*`, '*/*']
  for (const name of names) {
    const found = ranges.find((range) => range.type === name)
    if (found !== undefined) return found.quality
  }
  return 0
}

/** The type that `Accept` likes best, the first of them where it likes several alike. Throws ProblemError (406) when it allows none. */
export function preferredType<T extends string>(accept: string | undefined, types: readonly [T, ...T[]]): T {
  let [preferred] = types
  if (accept === undefined) return preferred
  const ranges = acceptedRanges(accept)
  let best = 0
  for (const type of types) {
    const quality = qualityOf(ranges, type)
    if (quality > best) [preferred, best] = [type, quality]
  }
  if (best > 0) return preferred
  throw new ProblemError({ code: 'not_acceptable', detail: `The answer can be ${types.join(' or ')}.` })
}

const isJson = (type: string) => type === '*/*' || type === 'application/*' || type === 'application/json'

/** The name under which `Accept` asks for lines of JSON rather than JSON; null: JSON. Throws ProblemError (406) when it allows neither. */
export function ndjsonTypeOf(accept: string | undefined): string | null {
  if (accept === undefined) return null
  let json = -1
  let lines: Range = { type: ndjson, quality: -1 }
  for (const { type, quality } of acceptedRanges(accept)) {
    if (quality <= 0) continue
    const name = ndjsonTypes.find((known) => known === type)
    if (name !== undefined && quality > lines.quality) lines = { type: name, quality }
    else if (isJson(type)) json = Math.max(json, quality)
  }
  if (lines.quality < 0 && json < 0) {
    throw new ProblemError({ code: 'not_acceptable', detail: `The answer can be application/json or ${ndjson}.` })
  }
  const wantsLines = lines.quality > json || (lines.quality === json && !accept.includes('application/json'))
  return wantsLines ? lines.type : null
}

export const eventStream = 'text/event-stream'

/** Throws ProblemError (406) when `Accept` leaves no room for server-sent events. */
export function requireEventStream(accept: string | undefined): void {
  if (accept === undefined) return
  const accepts = accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
    return !refused && (type === eventStream || type === 'text/*' || type === '*/*')
  })
  if (!accepts) throw new ProblemError({ code: 'not_acceptable', detail: `The answer can be ${eventStream} only.` })
}
