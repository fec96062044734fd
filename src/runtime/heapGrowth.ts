import { setFlagsFromString } from 'node:v8'

/**
 * Has V8 collect the old generation once it has grown by so many percent of what was alive after the last time; 0: as V8
 * likes, which on a machine with much memory is up to four times that. V8 asks for it at each collection, so it may be set
 * while the program runs. What comes and goes with a flood of reports lives just long enough to become old: without a
 * bound, most of the resident memory was garbage (docs/performance.md).
 */
export function boundHeapGrowth(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`)
}
