/** A JSON value as `JSON.parse` makes it. Operation data never holds `undefined`, `NaN` or `bigint`. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [member: string]: Json
}
