import { request } from 'node:http'

/** One report over HTTP; settles with the milliseconds it took. Throws when the answer is not 2xx. */
export function postReport({ url, agent, operation, key, body, access, pipeline }) {
  const text = pipeline === undefined ? body : `${body.slice(0, -1)},"pipeline":"${pipeline}"}`
  const headers = {
    ...access,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'idempotency-key': key,
  }
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const sent = request(`${url}/v1/operations/${operation}/reports`, { agent, method: 'POST', headers }, (answer) => {
      let said = ''
      answer.setEncoding('utf8').on('data', (chunk) => {
        said += chunk
      })
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode < 300) resolve(performance.now() - startedMs)
        else reject(new Error(`${answer.statusCode}: ${said}`))
      })
    })
    sent.on('error', reject)
    sent.end(text)
  })
}
