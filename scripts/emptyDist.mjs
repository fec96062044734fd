// A package is built from nothing: what an earlier build left, and has no source any more, must not be packed.
import { rm } from 'node:fs/promises'

await rm(new URL('../dist/', import.meta.url), { recursive: true, force: true })
