import { configureGlobal } from 'fast-check'

// Set up before tests that mutants are put before: the same cases each time, and few where a property does not say.
configureGlobal({ seed: 1, numRuns: 20 })
