import { expect, test } from 'vitest'
import { createBulkShare } from '../../src/api/bulk/bulkShare.ts'

test('a key with many uploads has no more than a key with one, and all of it when it is alone', () => {
  const share = createBulkShare({ bulkCommandsMax: 2_000, bulkCommandsTotalMax: 2_500 })
  for (let count = 0; count < 10; count += 1) share.enter('many')
  expect(share.commandsMax('many')).toBe(250)
  share.enter('one')
  expect(share.commandsMax('one')).toBe(1_250)
  expect(share.commandsMax('many')).toBe(125)
  share.leave('one')
  expect(share.commandsMax('many')).toBe(250)
  for (let count = 1; count < 10; count += 1) share.leave('many')
  expect(share.commandsMax('many')).toBe(2_000)
})
