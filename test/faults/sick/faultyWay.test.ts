import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../nodes/support/until.ts'
import { FaultyWay } from './faultyWay.ts'

/** As an append is recognised. */
const append = `waybill_append${'.'.repeat(1_000)}`

describe('the way that is made bad', () => {
  let echo: Server
  let way: FaultyWay
  let client: Socket
  let heard: string
  let came: string
  let ended: boolean

  beforeEach(async () => {
    heard = ''
    came = ''
    ended = false
    echo = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (bytes) => {
        heard += bytes.toString()
        socket.write(bytes)
      })
    })
    echo.listen(0, '127.0.0.1')
    await once(echo, 'listening')
    way = await FaultyWay.to(`postgres://127.0.0.1:${(echo.address() as AddressInfo).port}/`)
    client = connect(Number(new URL(way.connectionString).port), '127.0.0.1')
    client.on('error', () => undefined)
    client.on('close', () => {
      ended = true
    })
    client.on('data', (bytes) => {
      came += bytes.toString()
    })
    await once(client, 'connect')
  })
  afterEach(async () => {
    client.destroy()
    await way.close()
    echo.close()
  })

  const say = (text: string) => client.write(text)
  const answered = (text: string) => until(`${text} comes back`, 20_000, () => came === text)

  it('keeps the order of what it carries when it gets faster', async () => {
    way.set('delay', 200)
    say('one ')
    // It shall be on its way, and not there yet; were this too short, the test would only see less.
    await delay(50)
    say('two ')
    way.set('pass')
    say('three')
    await answered('one two three')
  })

  it('carries a commit whole, and ends the connection before the answer', async () => {
    way.set('cutInCommit')
    say('begin')
    await answered('begin')
    say(append)
    await until('the client is cut off', 20_000, () => ended)
    await until('the server has heard all', 20_000, () => heard === `begin${append}`)
    expect(came).toBe('begin')
  })

  it('carries half of a message', async () => {
    way.set('halfCommit')
    say(append)
    await until('the client is cut off', 20_000, () => ended)
    expect(heard.length).toBeLessThan(append.length)
  })

  it('brings no answer back where it is half open, and ends what lost something once it is well', async () => {
    way.set('halfOpen')
    say('heard')
    await until('the server has heard it', 20_000, () => heard === 'heard')
    expect(ended).toBe(false)
    way.set('pass')
    await until('the client is cut off', 20_000, () => ended)
    expect(came).toBe('')
  })

  it('swallows all in a black hole', async () => {
    way.set('blackHole')
    say('nobody hears')
    const other = connect(Number(new URL(way.connectionString).port), '127.0.0.1')
    other.on('error', () => undefined)
    await once(other, 'connect')
    way.set('pass')
    await until('the client is cut off', 20_000, () => ended)
    expect(heard).toBe('')
    other.destroy()
  })
})
