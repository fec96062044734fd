import { hot } from './hot.mjs'
import { long } from './long.mjs'
import { reports } from './reports.mjs'

/** In the order in which they are run. */
export const figures = [reports, hot, long]
