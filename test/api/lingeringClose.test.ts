import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { lingerWhileMoving } from '../../src/api/lingeringClose.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function exchange() {
  const socket = new Socket()
  const destroy = vi.spyOn(socket, 'destroy')
  const request = new IncomingMessage(socket)
  return { request, response: new ServerResponse(request), destroy }
}

const looks = 3

test('a connection on which nothing moves is ended', () => {
  const { request, response, destroy } = exchange()
  lingerWhileMoving(request, response, 1_000)
  vi.advanceTimersByTime(1_000)
  expect(destroy).toHaveBeenCalled()
})

test('one whose request goes on is ended after three looks', () => {
  const { request, response, destroy } = exchange()
  let bytesRead = 0
  Object.defineProperty(request.socket, 'bytesRead', { get: () => ++bytesRead })
  lingerWhileMoving(request, response, 1_000)
  vi.advanceTimersByTime((looks - 1) * 1_000)
  expect(destroy).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1_000)
  expect(destroy).toHaveBeenCalled()
})

test('one whose request was read to its end and whose answer was given is left alone, also where no parser says so', async () => {
  vi.useRealTimers()
  const { request, response, destroy } = exchange()
  request.push(null)
  const ended = new Promise((resolve) => request.once('end', resolve))
  request.resume()
  await ended
  expect([request.complete, request.readableEnded]).toEqual([false, true])
  // Without a parser the request takes it for cut off.
  destroy.mockClear()
  Object.defineProperty(response, 'writableFinished', { value: true })
  vi.useFakeTimers()
  lingerWhileMoving(request, response, 1_000)
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(60_000)
  expect(destroy).not.toHaveBeenCalled()
})
