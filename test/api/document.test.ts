import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { label, statusName } from '../../src/api/contract/names.ts'
import { problemCodes } from '../../src/api/problem.ts'
import { newNamePattern, printablePattern } from '../../src/operation/names.ts'
import { type ApiHarness, startApi } from './apiHarness.ts'

let api: ApiHarness
interface Operation {
  operationId?: string
  description?: string
  parameters?: { name: string; in: string; schema: object; description?: string }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: object }> }
  responses: Record<string, { description: string; headers?: object; content?: Record<string, { schema: object }> }>
}
let document: {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { properties: { code: { enum: string[] } } }> }
}
beforeAll(async () => {
  api = await startApi()
  document = (await api.send('GET', '/openapi.json')).body
})
afterAll(() => api.close())

/** Fields of a schema that say nothing of themselves, at any depth; what is referred to is looked at by itself. */
function undescribed(schema: unknown, at: string): string[] {
  if (typeof schema !== 'object' || schema === null || '$ref' in schema) return []
  const part = (name: string): unknown => Reflect.get(schema, name)
  const properties = Object.entries(part('properties') ?? {}).flatMap(([name, property]) => {
    const isDescribed = '$ref' in property || Boolean(property.description)
    return [...(isDescribed ? [] : [`${at}.${name}`]), ...undescribed(property, `${at}.${name}`)]
  })
  const others = [part('items'), part('additionalProperties'), part('anyOf'), part('oneOf'), part('allOf')]
  return [...properties, ...others.flat().flatMap((other) => undescribed(other, at))]
}

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  )

describe('the document', () => {
  test('is OpenAPI 3.1', () => {
    expect(document.openapi).toMatch(/^3\.1\./)
  })

  test('and the routes agree: each is in the other', () => {
    const registered = api.routes
      .filter((route) => !route.startsWith('HEAD '))
      .map((route) => route.replace(/:(\w+)/g, '{$1}'))
    expect(
      operations()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...registered].sort())
  })

  test('gives every operation a name of its own and problems for what can go wrong', () => {
    const names = operations().map(({ operation }) => operation.operationId)
    expect(new Set(names).size).toBe(names.length)
    for (const { name, operation } of operations()) {
      for (const status of ['400', '500', '503']) {
        expect([name, Object.keys(operation.responses[status]?.content ?? {})]).toEqual([
          name,
          ['application/problem+json'],
        ])
      }
    }
  })

  test('every answer has a description, and every one with a body a schema that says something', () => {
    for (const { name, operation } of operations()) {
      for (const [status, answer] of Object.entries(operation.responses)) {
        expect(answer.description, `${name} ${status}`).not.toBe('')
        for (const { schema } of Object.values(answer.content ?? {})) {
          expect(Object.keys(schema), `${name} ${status}`).not.toEqual([])
        }
      }
    }
  })

  test('every path parameter is described, and every body has a schema', () => {
    for (const { name, operation } of operations()) {
      const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      const described = (operation.parameters ?? [])
        .filter((parameter) => parameter.in === 'path')
        .map((parameter) => parameter.name)
      expect(new Set(described)).toEqual(new Set(inPath))
      if (/^(POST|PUT) /.test(name)) expect(operation.requestBody, name).toBeDefined()
    }
    expect(Object.keys(document.paths['/v1/commands']?.post?.requestBody?.content ?? {})).toEqual([
      'application/x-ndjson',
      'application/ndjson',
      'application/jsonl',
    ])
  })

  test('every reference leads somewhere', () => {
    const text = JSON.stringify(document)
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name ?? '')
    expect(references.length).toBeGreaterThan(10)
    for (const name of references) expect(document.components.schemas[name], name).toBeDefined()
    expect(text).not.toContain('__SCHEMA__')
  })

  test('describes every operation, every parameter and every field', () => {
    const bare: string[] = []
    for (const { name, operation } of operations()) {
      if (!operation.description) bare.push(name)
      for (const parameter of operation.parameters ?? []) {
        if (!parameter.description && !Reflect.get(parameter.schema, 'description'))
          bare.push(`${name} ${parameter.name}`)
      }
      for (const { content = {} } of [operation.requestBody ?? {}, ...Object.values(operation.responses)]) {
        for (const { schema } of Object.values(content)) bare.push(...undescribed(schema, name))
      }
    }
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      if (!Reflect.get(schema, 'description')) bare.push(name)
      bare.push(...undescribed(schema, name))
    }
    expect(bare).toEqual([])
  })

  test('has no schema that nothing refers to, and none twice', () => {
    const text = JSON.stringify(document)
    for (const name of Object.keys(document.components.schemas)) {
      expect(text, name).toContain(`"#/components/schemas/${name}"`)
      expect(name).not.toMatch(/Input$/)
    }
  })

  test('says that a body is required where one is', () => {
    for (const name of [
      'POST /v1/operations',
      'POST /v1/operations/{id}/reports',
      'POST /v1/commands',
      'POST /v1/keys',
    ]) {
      const operation = operations().find((one) => one.name === name)?.operation
      expect(operation?.requestBody, name).toMatchObject({ required: true })
    }
  })

  test('lists every problem code', () => {
    expect(document.components.schemas.Problem?.properties.code.enum).toEqual(problemCodes)
  })

  test('parameters have types', () => {
    for (const { name, operation } of operations()) {
      for (const parameter of operation.parameters ?? []) {
        expect(Object.keys(parameter.schema), `${name} ${parameter.name}`).toContain('type')
      }
    }
  })
})

test('every problem code of the contract is known', () => {
  const contract = ['invalid', 'not_found', 'operation_exists', 'pipeline_mismatch', 'unknown_status']
    .concat([
      'transition_not_allowed',
      'requirement_unmet',
      'held_full',
      'revision_mismatch',
      'claim_held',
      'key_reused',
    ])
    .concat(['removed', 'too_large', 'not_yet_visible', 'unauthorised', 'forbidden', 'another_log', 'overloaded'])
    .concat(['contention', 'log_unavailable', 'not_tried', 'outcome_unknown'])
  expect(problemCodes).toEqual(expect.arrayContaining(contract))
})

test('/docs shows it, from this server alone', async () => {
  const page = await api.send('GET', '/docs')
  expect(page.status).toBe(200)
  expect(page.headers['content-type']).toContain('text/html')
  expect(String(page.headers['content-security-policy'])).not.toMatch(/https?:/)
  for (const [, asset] of page.text.matchAll(/(?:src|href)="(?!http)([^"]+)"/g)) {
    const url = new URL(asset ?? '', 'http://x/docs/').pathname
    expect((await api.send('GET', url)).status, url).toBe(200)
  }
})

test('its other forms end in a newline, as every answer does', async () => {
  for (const url of ['/docs/json', '/docs/yaml']) {
    const answer = await api.send('GET', url)
    expect([answer.status, answer.text.at(-1)], url).toEqual([200, '\n'])
    const head = await api.send('HEAD', url)
    expect(head.headers['content-length']).toBe(answer.headers['content-length'])
  }
})

test('what is no part of the page is a problem like any other', async () => {
  for (const url of ['/docs/static/nothing.js', '/docs/static/..%2f..%2fpackage.json', '/docs/nothing']) {
    const answer = await api.send('GET', url)
    expect([answer.status, answer.body.code], url).toEqual([404, 'not_found'])
    expect(answer.headers['content-type']).toContain('application/problem+json')
  }
  expect((await api.send('POST', '/docs')).headers.allow).toBe('GET, HEAD')
  const { etag } = (await api.send('GET', '/docs/static/swagger-ui.css')).headers
  const again = await api.send('GET', '/docs/static/swagger-ui.css', undefined, { 'if-none-match': String(etag) })
  expect([again.status, again.text]).toEqual([304, ''])
})

test('the version in the document is that of the package, where the service builds it', async () => {
  const { version } = await import('../../src/version.ts')
  expect(version).toBe(JSON.parse(readFileSync('package.json', 'utf8')).version)
})

describe('the patterns of names in the document', () => {
  const patterns = () =>
    [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(([, text]) => text)
  const published = (schema: z.ZodType) => {
    const { pattern = '' } = z.toJSONSchema(schema)
    return [new RegExp(pattern), new RegExp(pattern, 'u')] as const
  }
  /** All of the basic plane that UTF-8 can hold. */
  const characters = Array.from({ length: 0x10000 }, (_, code) => code)
    .filter((code) => code < 0xd800 || code > 0xdfff)
    .map((code) => String.fromCharCode(code))

  test('need no Unicode mode', () => {
    expect(patterns().length).toBeGreaterThan(10)
    expect(patterns().filter((text) => /\\\\[pP]\{/.test(text ?? ''))).toEqual([])
  })

  test.each([
    ['a new name', statusName, newNamePattern],
    ['a name as it may have been recorded', label, printablePattern],
  ])('allow, with and without it, what the service does: %s', (_, schema, pattern) => {
    const [plain, unicode] = published(schema)
    const differ = characters.filter((character) => {
      const allowed = pattern.test(character)
      return plain.test(character) !== allowed || unicode.test(character) !== allowed
    })
    expect(differ).toEqual([])
    expect([plain.test('\u{1f600}'), unicode.test('\u{1f600}'), pattern.test('\u{1f600}')]).toEqual([true, true, true])
  })
})
