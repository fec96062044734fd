/** JSON as it is written, sound or not: what `JSON.stringify` cannot write (two members of one name, `1e400`) can stand here. */
export type JsonTree =
  /** Written as it is. */
  | string
  | { readonly items: readonly JsonTree[] }
  /** Names are written as they are, quotes included. */
  | { readonly members: readonly (readonly [name: string, value: JsonTree])[] }

export type TreeChange =
  | { readonly kind: 'replace'; readonly literal: string }
  | { readonly kind: 'remove' }
  | { readonly kind: 'add'; readonly name: string; readonly literal: string }
  /** The member once more, with another value. */
  | { readonly kind: 'repeat'; readonly literal: string }
  | { readonly kind: 'rename'; readonly name: string }
  | { readonly kind: 'wrap'; readonly depth: number; readonly inArrays: boolean }

/** `at`: the node, counted depth first; of a tree with fewer nodes it is taken modulo their number. */
export interface Mutation {
  readonly at: number
  readonly change: TreeChange
}

export function mutate(tree: JsonTree, { at, change }: Mutation): JsonTree {
  const place = { left: at % size(tree) }
  return visit(tree, place, change) ?? 'null'
}

/** Null: the node is to be taken away. */
function visit(tree: JsonTree, place: { left: number }, change: TreeChange): JsonTree | null {
  if (place.left === 0) {
    place.left = -1
    return changed(tree, change)
  }
  place.left -= 1
  if (typeof tree === 'string') return tree
  if ('items' in tree) return { items: tree.items.flatMap((item) => visit(item, place, change) ?? []) }
  return {
    members: tree.members.flatMap(([name, value]): (readonly [string, JsonTree])[] => {
      const isIt = place.left === 0
      const after = visit(value, place, change)
      if (after === null) return []
      if (isIt && change.kind === 'rename') return [[change.name, after]]
      const members: (readonly [string, JsonTree])[] = [[name, after]]
      if (isIt && change.kind === 'repeat') members.push([name, change.literal])
      return members
    }),
  }
}

function changed(tree: JsonTree, change: TreeChange): JsonTree | null {
  switch (change.kind) {
    case 'replace':
      return change.literal
    case 'remove':
      return null
    case 'add':
      return typeof tree !== 'string' && 'members' in tree
        ? { members: [...tree.members, [change.name, change.literal]] }
        : { members: [[change.name, tree]] }
    case 'wrap': {
      const [open, close] = change.inArrays ? ['[', ']'] : ['{"a":', '}']
      return `${open.repeat(change.depth)}${treeText(tree)}${close.repeat(change.depth)}`
    }
    case 'rename':
    case 'repeat':
      return tree
    default:
      return change satisfies never
  }
}

function size(tree: JsonTree): number {
  if (typeof tree === 'string') return 1
  if ('items' in tree) return tree.items.reduce<number>((sum, item) => sum + size(item), 1)
  return tree.members.reduce<number>((sum, [, value]) => sum + size(value), 1)
}

export function treeText(tree: JsonTree): string {
  if (typeof tree === 'string') return tree
  if ('items' in tree) return `[${tree.items.map(treeText).join(',')}]`
  return `{${tree.members.map(([name, value]) => `${name}:${treeText(value)}`).join(',')}}`
}
