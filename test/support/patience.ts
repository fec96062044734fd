/**
 * How long a test waits for what must come: a bound against hanging, and no measure of anything. It is longer than any of it
 * takes on a machine that does ten things at once, and shorter than a test may take (vitest.config.ts), so that what was
 * waited for in vain is told by its name.
 */
export const patienceMs = 120_000
