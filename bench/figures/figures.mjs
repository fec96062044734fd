import { bulk } from './bulk.mjs'
import { hot } from './hot.mjs'
import { long } from './long.mjs'
import { openLoop } from './openLoop.mjs'
import { port } from './port.mjs'
import { reports } from './reports.mjs'

/** In the order in which they are run. */
export const figures = [reports, hot, port, bulk, openLoop, long]
