import { createHash } from 'node:crypto'

/** Whether a mutant is in the sample: `share:seed`, or `=` and ids; undefined: all are. */
export function isDrawn(sample, mutant) {
  if (sample === undefined) return true
  if (sample.startsWith('=')) return sample.slice(1).split(',').includes(mutant)
  const [share, seed] = sample.split(':')
  return createHash('sha256').update(`${seed}:${mutant}`).digest().readUInt32BE() < Number(share) * 2 ** 32
}
