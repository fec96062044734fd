import { bulk } from './bulk.mjs'
import { hot } from './hot.mjs'
import { long } from './long.mjs'
import { older } from './older.mjs'
import { openLoop } from './openLoop.mjs'
import { port } from './port.mjs'
import { reads } from './reads.mjs'
import { rebuild } from './rebuild.mjs'
import { reports } from './reports.mjs'
import { size } from './size.mjs'

/** In the order in which they are run: `size` fills what `reads` and `rebuild` then find. */
export const figures = [reports, hot, port, bulk, openLoop, long, size, reads, rebuild, older]
