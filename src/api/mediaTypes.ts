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
  /** Above 0: what is refused is no range. */
  readonly quality: number
}

function acceptedRanges(accept: string): Range[] {
  const ranges: Range[] = []
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (!Number.isNaN(quality) && quality > 0) ranges.push({ type, quality })
  }
  return ranges
}

const isJson = (type: string) => type === '*/*' || type === 'application/*' || type === 'application/json'

/** The name under which `Accept` asks for lines of JSON rather than JSON; null: JSON. Throws ProblemError (406) when it allows neither. */
export function ndjsonTypeOf(accept: string | undefined): string | null {
  if (accept === undefined) return null
  let json = -1
  let lines: Range = { type: ndjson, quality: -1 }
  for (const { type, quality } of acceptedRanges(accept)) {
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
