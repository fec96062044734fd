import type { SessionSettings } from './databaseSession.ts'
import type { ProjectionStore } from './projectionStore.ts'
import { PostgresShadowSession } from './rebuild/shadowSession.ts'
import { PostgresProjectorSession } from './session.ts'

export function createPostgresProjectionStore(settings: SessionSettings): ProjectionStore {
  return {
    connect: () => PostgresProjectorSession.connect(settings),
    openShadow: (options) => PostgresShadowSession.open(settings, options),
    dropShadow: (ownerEpoch) => PostgresShadowSession.drop(settings, ownerEpoch),
  }
}
