export interface Target {
  readonly id: string
  readonly what: string
  readonly unit: string
  /** Less is better. */
  readonly less?: boolean
  readonly reach?: number
  readonly aim?: number
}

export interface Line extends Target {
  readonly value?: number
  readonly verdict: 'aim' | 'reached' | 'missed' | 'not run' | '-'
  readonly reason?: string
}

export function verdictOn(target: Partial<Target>, value: number | null | undefined): Line['verdict']

export function judge(
  figure: { readonly name: string; readonly title: string; readonly targets: readonly Target[] },
  result: {
    readonly error: string | null
    readonly values: Readonly<Record<string, { readonly value: number }>>
    readonly notRun?: Readonly<Record<string, string>>
    readonly memoryMb: number | null
  },
): { readonly alone: string; readonly lines: readonly Line[] }
