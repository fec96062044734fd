/** @param {string | null} apiKey */
export function accessHeader(apiKey) {
  return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }
}
