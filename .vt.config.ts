import { defineConfig } from 'vitest/config'
export default defineConfig({ test: { include: ['test/{simulation,commands,operation,projections}/**/*.test.ts'], pool: 'forks', maxWorkers: 1 } })
