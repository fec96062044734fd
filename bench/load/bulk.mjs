// Commands in bulk: a line each, many in a request.
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/**
 * Sends one bulk request; settles once every line was answered as accepted. Throws otherwise.
 * @param {string[]} lines JSON text each
 * @returns {Promise<number>} how many
 */
export async function sendCommands(url, lines, access = {}) {
  const answer = await post(`${url}/v1/commands`, `${lines.join('\n')}\n`, access)
  const answered = countLines(answer)
  const refused = answer.indexOf('"problem"')
  if (refused !== -1 || answered !== lines.length) {
    const line = answer
      .toString('utf8')
      .split('\n')
      .find((text) => text.includes('"problem"'))
    throw new Error(`${answered} of ${lines.length} lines were answered; refused: ${line ?? 'none'}`)
  }
  return answered
}

/** A report as a bulk line. `body` is one of payloads.mjs: JSON text of an object. */
export function reportLine(operation, key, body) {
  return `{"type":"ReportStatus","operation":"${operation}","command":"${key}",${body.slice(1)}`
}

/** One report on each of `bench-0` to the last of so many operations, so that the service has them in memory. */
export async function reportOnEach({ url, access }, operations, bodies) {
  const batch = 500
  const run = Date.now()
  for (let from = 0; from < operations; from += batch) {
    const lines = Array.from({ length: Math.min(batch, operations - from) }, (_, n) =>
      reportLine(`bench-${from + n}`, `each-${run}-${from + n}`, bodies[n % bodies.length]),
    )
    await sendCommands(url, lines, access)
  }
}

function countLines(bytes) {
  let count = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) count += 1
  return count
}

function post(url, body, access) {
  return new Promise((resolve, reject) => {
    const headers = {
      ...access,
      'content-type': 'application/x-ndjson',
      'content-length': Buffer.byteLength(body),
    }
    const sent = request(url, { agent, method: 'POST', headers }, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const bytes = Buffer.concat(chunks)
        if (answer.statusCode === 200) resolve(bytes)
        else reject(new Error(`${answer.statusCode}: ${bytes.toString('utf8')}`))
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
