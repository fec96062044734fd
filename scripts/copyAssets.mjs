// tsc copies no SQL: bring every .sql file of src to the same place below dist.
import { cp } from 'node:fs/promises'

await cp(new URL('../src/', import.meta.url), new URL('../dist/', import.meta.url), {
  recursive: true,
  filter: (source) => !/\.[a-z]+$/.test(source) || source.endsWith('.sql'),
})
