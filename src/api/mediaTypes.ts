import { ProblemError } from './problem.ts'

export const ndjson = 'application/x-ndjson'

const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i

/** JSON is UTF-8 (RFC 8259), and bodies come as they are: anything else is 415. Throws ProblemError. */
export function requireUtf8(contentType: string | undefined, contentEncoding: string | undefined): void {
  if (contentType !== undefined && contentType.length > 'application/json'.length) {
    const [, name] = charset.exec(contentType) ?? []
    if (name !== undefined && name.toLowerCase() !== 'utf-8') {
      throw new ProblemError({ code: 'unsupported_media_type', detail: 'The only charset is utf-8.' })
    }
  }
  if (contentEncoding !== undefined && contentEncoding !== 'identity') {
    throw new ProblemError({ code: 'unsupported_media_type', detail: 'Bodies must not be compressed.' })
  }
}

/** Whether `Accept` asks for NDJSON rather than JSON. Throws ProblemError (406) when it allows neither. */
export function wantsNdjson(accept: string | undefined): boolean {
  if (accept === undefined) return false
  let json = -1
  let lines = -1
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
    if (Number.isNaN(quality) || quality === 0) continue
    if (type === ndjson) lines = Math.max(lines, quality)
    else if (type === '*/*' || type === 'application/*' || type === 'application/json') json = Math.max(json, quality)
  }
  if (lines < 0 && json < 0) {
    throw new ProblemError({ code: 'not_acceptable', detail: `The answer can be application/json or ${ndjson}.` })
  }
  return lines > json || (lines === json && !accept.includes('application/json'))
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
