import { hostname } from 'node:os'

/** Tells this process from the others on the database, for a person. */
export const nodeName = `${hostname()}/${process.pid}`
