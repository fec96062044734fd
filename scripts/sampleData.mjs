// Operations in every standing that there is, made over HTTP.

const definitions = {
  linear: { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'advance' },
  patient: { statuses: ['new', 'read', 'checked', 'done'], outOfOrder: 'hold' },
  parallel: {
    outOfOrder: 'hold',
    tracks: {
      main: {
        initial: 'new',
        transitions: { new: ['read'], read: ['checked', 'broken'], checked: ['done'] },
        final: { done: 'succeeded', broken: 'failed' },
        requires: { done: [{ track: 'fraud', in: ['passed'] }] },
      },
      fraud: {
        initial: 'waiting',
        transitions: { waiting: ['passed', 'failed'] },
        final: { passed: 'succeeded', failed: 'failed' },
        startsWhen: { track: 'main', in: ['read'] },
      },
    },
  },
}

const report = (operation, pipeline, status, more = {}) => ({ operation, pipeline, status, service: 'sample', ...more })
const reports = [
  report('any-1', 'any', 'anything at all', {
    metadata: { customer: 'ACME', amount: 12.5 },
    data: { text: 'ä \u{1f9fe} "quoted"' },
  }),
  report('any-1', 'any', 'gone', { final: 'failed' }),
  report('linear-1', 'linear', 'read', { sequence: 1, data: { pages: [1, 2, 3] } }),
  report('linear-1', 'linear', 'done', { sequence: 4 }),
  report('linear-1', 'linear', 'checked', { sequence: 3, data: { late: true } }),
  report('linear-2', 'linear', 'read', { observedAt: '2026-01-01T00:00:00.000Z' }),
  report('linear-2', 'linear', 'read', { metadata: { again: true } }),
  report('patient-1', 'patient', 'checked', { data: { early: 1 } }),
  report('patient-2', 'patient', 'checked'),
  report('patient-2', 'patient', 'read'),
  report('parallel-1', 'parallel', 'read'),
  report('parallel-1', 'parallel', 'checked'),
  report('parallel-1', 'parallel', 'done'),
  report('parallel-1', 'parallel', 'passed', { track: 'fraud' }),
  report('parallel-2', 'parallel', 'read'),
  report('parallel-2', 'parallel', 'broken'),
  report('parallel-3', 'parallel', 'done'),
]

/** What was made, as `GET` answers it, and what each report was answered. */
export async function makeSampleData(url) {
  for (const [name, definition] of Object.entries(definitions))
    await send(url, 'PUT', `/v1/pipelines/${name}`, definition)
  // A second version, after whose definition nothing is opened.
  await send(url, 'PUT', '/v1/pipelines/linear', { ...definitions.linear, outOfOrder: 'reject' }, { 'if-match': '"0"' })
  await send(url, 'POST', '/v1/operations', {
    id: 'opened-1',
    pipeline: 'linear',
    pipelineVersion: 1,
    theme: 'a theme',
    data: { a: 1 },
  })
  const receipts = []
  for (const [index, { operation, pipeline, ...rest }] of reports.entries()) {
    const body = { ...rest, pipeline, ...(pipeline === 'linear' ? { pipelineVersion: 1 } : {}) }
    const path = `/v1/operations/${operation}/reports`
    const receipt = await send(url, 'POST', path, body, { 'idempotency-key': `key-${index}` })
    receipts.push({ path, key: `key-${index}`, body, receipt })
  }
  const position = receipts.at(-1).receipt.position
  const get = (path) => send(url, 'GET', path)
  const { operations } = await get(`/v1/operations?sort=id&minPosition=${position}`)
  const { pipelines: counts } = await get('/v1/stats')
  const { events } = await get('/v1/events?pageSize=1000')
  const { pipelines } = await get('/v1/pipelines')
  return { operations, counts, pipelines, events, receipts }
}

async function send(url, method, path, body, headers = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
  return JSON.parse(text)
}
