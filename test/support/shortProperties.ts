import fc from 'fast-check'

// Set up before tests that mutants are put before: each property for a moment only, and the same cases each time.
fc.configureGlobal({ seed: 1, interruptAfterTimeLimit: 150 })
