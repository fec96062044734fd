import { stateOf } from '../../src/projections/operationState.ts'
import type { ProjectedPipelines } from '../../src/projections/projectedPipelines.ts'
import type {
  FoldedRows,
  ProjectionStore,
  ProjectorSession,
  ShadowSession,
} from '../../src/projections/projectionStore.ts'
import type { Connection } from './database.ts'
import { countedStatuses, type RowSet, type Tables } from './tables.ts'

/** The projector's port to its rows, on simulated tables. */
export function createSimulatedStore(connect: () => Promise<Connection>): ProjectionStore {
  return {
    async connect() {
      return projectorSession(await connect())
    },
    async openShadow({ ownerEpoch, logId, signal }) {
      const connection = await connect()
      const onAbort = () => close()
      const close = (): void => {
        signal.removeEventListener('abort', onAbort)
        connection.close()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        signal.throwIfAborted()
        const opened = await connection.statement((tables) => {
          const { epoch, position } = tables.openShadow(ownerEpoch, logId)
          return { epoch, position }
        })
        return shadowSession(connection, opened, close)
      } catch (error) {
        close()
        throw error
      }
    },
    async dropShadow(ownerEpoch) {
      const connection = await connect()
      await connection.statement((tables) => tables.dropShadow(ownerEpoch)).finally(() => connection.close())
    },
  }
}

function projectorSession(connection: Connection): ProjectorSession {
  let epoch = -1n
  let rows = foldedRows(connection, usedRows, epoch)
  return {
    get lost() {
      return connection.lost
    },
    get epoch() {
      return epoch
    },
    get rows() {
      return rows
    },
    checkpoint: (logId) => connection.statement(({ used }) => (used.logId === logId ? used.position : 0n)),
    isPaused: () => connection.statement(({ paused }) => paused),
    tryLock: () =>
      connection.statement((tables) => {
        // A server gives no lock to who is gone.
        if (connection.lost === null) tables.lock ??= connection
        return tables.lock === connection
      }),
    async takeOver() {
      const taken = await connection.statement((tables) => {
        tables.takeOver()
        const { position, logId, foldVersion } = tables.used
        return { epoch: tables.used.epoch, position, logId, foldVersion, paused: tables.paused }
      })
      epoch = taken.epoch
      rows = foldedRows(connection, usedRows, epoch)
      return taken
    },
    startOver: (logId) => connection.statement((tables) => tables.startOver(logId, epoch)),
    leftover: () =>
      connection.statement(({ shadow: { logId, foldVersion } }) =>
        logId === null || foldVersion === null ? null : { logId, foldVersion },
      ),
    close: async () => connection.close(),
  }
}

function shadowSession(
  connection: Connection,
  { epoch, position }: { readonly epoch: bigint; readonly position: bigint },
  close: () => void,
): ShadowSession {
  return {
    rows: foldedRows(connection, ({ shadow }) => shadow, epoch),
    position,
    makeIndexes: () => connection.statement(() => undefined),
    awaitVacuums: () => connection.statement(() => true),
    swap: (ownerEpoch) => connection.statement((tables) => tables.swap(ownerEpoch, epoch)),
    close: async () => close(),
  }
}

const usedRows = ({ used }: Tables): RowSet => used

function foldedRows(connection: Connection, rowsOf: (tables: Tables) => RowSet, epoch: bigint): FoldedRows {
  return {
    async loadPipelines(catalogue: ProjectedPipelines) {
      const versions = await connection.statement((tables) => [...rowsOf(tables).pipelines.values()])
      versions.sort((one, other) => one.version - other.version)
      for (const { name, version, definition } of versions) {
        catalogue.define(name, { version, definition: JSON.parse(JSON.stringify(definition)) })
      }
    },
    loadCountedStatuses: () => connection.statement((tables) => [...countedStatuses(rowsOf(tables))]),
    async loadParked(parked) {
      for (const row of await connection.statement((tables) => [...rowsOf(tables).parked.values()])) parked.park(row)
    },
    async loadStates(ids, catalogue) {
      const rows = await connection.statement((tables) => ids.flatMap((id) => rowsOf(tables).operations.get(id) ?? []))
      return rows.map((row) => ({
        state: stateOf(row, catalogue.pipelineOf),
        dataLength: row.data.length,
        metadataLength: row.metadata.length,
      }))
    },
    commit: (batch) => connection.statement((tables) => tables.commit(rowsOf(tables), epoch, batch)),
  }
}
