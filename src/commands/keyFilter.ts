/**
 * Remembers keys approximately, in some 12 bits each: `mayHold` is true for every key that was added and for about one
 * in fifty that was not. It stands for the receipts an operation no longer keeps: a key it does not hold was never
 * used in the part of the stream that was folded, so the log need not be asked (correctness.md row 5) and a hot
 * operation with a long history costs no query per command.
 *
 * A chain of Bloom filters, each twice as large as the one before, because a filter cannot grow.
 */
export interface KeyFilter {
  readonly blocks: Block[]
}

interface Block {
  readonly bits: Uint32Array
  readonly capacity: number
  size: number
}

const firstCapacity = 256
const bitsPerKey = 12
const probes = 7

export function emptyKeyFilter(): KeyFilter {
  return { blocks: [] }
}

export function copyOf({ blocks }: KeyFilter): KeyFilter {
  return { blocks: blocks.map((block) => ({ ...block, bits: block.bits.slice() })) }
}

export function addKey(filter: KeyFilter, key: string): void {
  let block = filter.blocks.at(-1)
  if (block === undefined || block.size === block.capacity) {
    block = newBlock(block === undefined ? firstCapacity : block.capacity * 2)
    filter.blocks.push(block)
  }
  block.size += 1
  const bitCount = block.bits.length * 32
  const first = hash(key, 0x811c9dc5)
  const step = hash(key, 0x9747b28c) | 1
  for (let probe = 0; probe < probes; probe += 1) {
    const bit = (first + Math.imul(probe, step)) >>> 0
    const index = bit % bitCount
    block.bits[index >>> 5] = (block.bits[index >>> 5] ?? 0) | (1 << (index & 31))
  }
}

export function mayHold(filter: KeyFilter, key: string): boolean {
  const first = hash(key, 0x811c9dc5)
  const step = hash(key, 0x9747b28c) | 1
  return filter.blocks.some((block) => blockMayHold(block, first, step))
}

export function keyFilterBytes(filter: KeyFilter): number {
  return filter.blocks.reduce((bytes, block) => bytes + block.bits.byteLength, 0)
}

function blockMayHold(block: Block, first: number, step: number): boolean {
  const bitCount = block.bits.length * 32
  for (let probe = 0; probe < probes; probe += 1) {
    const index = ((first + Math.imul(probe, step)) >>> 0) % bitCount
    if (((block.bits[index >>> 5] ?? 0) & (1 << (index & 31))) === 0) return false
  }
  return true
}

function newBlock(capacity: number): Block {
  return { bits: new Uint32Array(Math.ceil((capacity * bitsPerKey) / 32)), capacity, size: 0 }
}

/** FNV-1a over UTF-16 units, then mixed: the low bits of plain FNV of keys that differ in a counter lie too close. */
function hash(key: string, seed: number): number {
  let value = seed
  for (let index = 0; index < key.length; index += 1) {
    value = Math.imul(value ^ key.charCodeAt(index), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}
