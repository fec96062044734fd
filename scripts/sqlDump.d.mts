import type { Client } from 'pg'

export declare function dumpLedger(client: Client): Promise<string>
export declare function dumpRows(client: Client): Promise<string>
export declare function dumpStructure(client: Client): Promise<string>
