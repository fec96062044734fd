// Lists of 50 with two filters, of the kinds that differ in what the database does for them.

/** @param info of a dataset: `startedAt`, `endedAt` */
export function listQuestions({ startedAt, endedAt }) {
  const middle = new Date((Date.parse(startedAt) + Date.parse(endedAt)) / 2).toISOString()
  return {
    'pipeline + common status': { pipeline: 'any', status: 'done' },
    'pipeline + rare status, oldest first': { pipeline: 'any', status: 'stuck', sort: 'updatedAt' },
    'pipeline + state, few': { pipeline: 'letter', state: 'failed' },
    'state + updatedBefore': { state: 'active', updatedBefore: middle },
    'pipeline + state, newest opened': { pipeline: 'letter', state: 'succeeded', sort: '-openedAt' },
    'pipeline + status, by id': { pipeline: 'any', status: 'status 3', sort: 'id' },
    'id prefix + state': { idPrefix: 'bench-77', state: 'active' },
    'common metadata + status': { 'metadata.tenant': 't7', status: 'done' },
    'rare metadata + pipeline': { 'metadata.batch': 'b77', pipeline: 'any' },
    'common theme + state': { theme: 'common', state: 'active' },
    'rare theme + pipeline': { theme: 'rare', pipeline: 'any' },
    'status, waiting longest': { pipeline: 'any', status: 'done', sort: 'since' },
    'status + in it before': { pipeline: 'any', status: 'done', sinceBefore: middle },
    'status of another track, waiting longest': { pipeline: 'parcel', track: 'post', status: 'packed', sort: 'since' },
    'status of another track + in it before': {
      pipeline: 'parcel',
      track: 'post',
      status: 'sent',
      sinceBefore: middle,
    },
    'active + not heard of since': { state: 'active', heardBefore: middle },
    'active + not heard of since, by id': { state: 'active', heardBefore: middle, sort: 'id' },
    'held, oldest first': { held: 'true', pipeline: 'parcel', sort: 'updatedAt' },
    'not held + status': { held: 'false', pipeline: 'any', status: 'status 3' },
    'failed in any track': { anyTrack: 'failed', pipeline: 'letter' },
    'blocked + pipeline': { blocked: 'true', pipeline: 'parcel' },
  }
}

export function listPath(question) {
  return `/v1/operations?${new URLSearchParams({ ...question, pageSize: '50' })}`
}
