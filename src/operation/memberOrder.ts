import type { JsonObject } from './json.ts'

/** The members of objects that were made alike, in canonical order (RFC 8785: by UTF-16 code units), ready to be written. */
export interface MemberOrder {
  readonly names: readonly string[]
  /** `"name":` for each name ... */
  readonly opening: readonly string[]
  /** ... and `,"name":`. */
  readonly following: readonly string[]
}

/**
 * The canonical order of an object's members. Documents of one service have the same members in the same order again and
 * again: their order is found by walking the names once, and nothing is sorted, quoted or allocated.
 */
export function membersOf(object: JsonObject): MemberOrder {
  let node = root
  let count = 0
  for (const name in object) {
    node = node.next !== null && node.name === name ? node.next : follow(node, name)
    count += 1
    if (count > rememberedMembersMax) return orderOf(object)
  }
  if (node.order !== null) return node.order
  const order = orderOf(object)
  node.order = order
  return order
}

/** Objects with more members are maps by their nature, and seldom come twice. */
const rememberedMembersMax = 64

/** Some 3 MB; then all are forgotten. Names that never come again (ids as members) must not stay. */
const nodesMax = 10_000

/** After a sequence of names. Most are only ever followed by one name: the other ways on are in a map. */
interface Node {
  name: string
  next: Node | null
  others: Map<string, Node> | null
  order: MemberOrder | null
}

let root = newNode()
let nodes = 1

function newNode(): Node {
  return { name: '', next: null, others: null, order: null }
}

function follow(node: Node, name: string): Node {
  const known = node.others?.get(name)
  if (known !== undefined) return known
  const next = newNode()
  nodes += 1
  if (nodes > nodesMax) {
    // Whoever is on the way through the old ones still gets a right answer from them.
    root = newNode()
    nodes = 1
  }
  if (node.next === null) {
    node.name = name
    node.next = next
  } else {
    node.others ??= new Map()
    node.others.set(name, next)
  }
  return next
}

function orderOf(object: JsonObject): MemberOrder {
  const names = Object.keys(object).sort()
  const opening = names.map((name) => `${JSON.stringify(name)}:`)
  return { names, opening, following: opening.map((start) => `,${start}`) }
}
