import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rawItems, rawMembers } from '../../src/demo/proof/rawJson.ts'

describe('raw JSON', () => {
  it('gives members and items as they stand, which parsing and printing again would not', () => {
    const text = '{ "b" : {"2":1e3,"1":[1.0, "]}"]} ,"a":"\\u0041\\\\\\"" , "n":null}'
    expect([...rawMembers(text)]).toEqual([
      ['b', '{"2":1e3,"1":[1.0, "]}"]}'],
      ['a', '"\\u0041\\\\\\""'],
      ['n', 'null'],
    ])
    expect(rawItems('[ 1.0 , {"a":[2]},"x,y" ,[]\n]')).toEqual(['1.0', '{"a":[2]}', '"x,y"', '[]'])
    expect(rawItems(' [ ] ')).toEqual([])
    expect(rawMembers('{}').size).toBe(0)
  })

  it('takes any JSON object apart', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
        const members = rawMembers(JSON.stringify(object))
        expect([...members.keys()]).toEqual(Object.keys(JSON.parse(JSON.stringify(object))))
        for (const [member, raw] of members) expect(raw).toBe(JSON.stringify(object[member]))
      }),
    )
  })
})
