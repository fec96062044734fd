import * as planted from '../operation/events.ts'

export const use = planted
