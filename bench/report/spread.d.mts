export interface Spread {
  readonly value: number
  readonly min: number
  readonly max: number
}

export function median(values: readonly number[]): number
export function spread(values: readonly number[]): Spread
export function ratios(values: readonly number[], bases: readonly number[]): Spread
export function percentile(values: readonly number[], share: number): number
export function isGrowing(backlog: readonly number[]): boolean
