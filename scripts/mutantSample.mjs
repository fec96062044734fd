import { createHash } from 'node:crypto'

/** Whether a mutant is in the sample `share:seed`; undefined: all are. */
export function isDrawn(sample, mutant) {
  if (sample === undefined) return true
  const [share, seed] = sample.split(':')
  return createHash('sha256').update(`${seed}:${mutant}`).digest().readUInt32BE() < Number(share) * 2 ** 32
}
