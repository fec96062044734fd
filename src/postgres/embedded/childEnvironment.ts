/** Of every program that is started here: no secret of ours, no PG* variable, no locale that is not installed. */
export const childEnvironment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
