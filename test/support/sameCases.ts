import { configureGlobal } from 'fast-check'

// Set up before tests that mutants are put before: the same cases each time, and few where a property does not say.
configureGlobal({ seed: 1, numRuns: 20 })

// The thread is the one of the mutant before (warmPool.ts), which must not be at work while the tests are gathered.
const stryker: { activeMutant?: string } | undefined = Reflect.get(globalThis, '__stryker__')
if (stryker !== undefined) delete stryker.activeMutant
