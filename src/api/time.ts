const form = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-](\d\d):(\d\d))$/

/**
 * An RFC 3339 time as UTC with milliseconds (finer digits are cut), or null when it is none. `Date.parse` alone would
 * take the 30th of February for the 2nd of March.
 */
export function normaliseTime(text: string): string | null {
  const parts = form.exec(text)
  if (parts === null) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, offsetHour = 0, offsetMinute = 0] = parts
    .slice(1)
    .map((part) => (part === undefined ? 0 : Number(part)))
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return null
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return null
  const milliseconds = Date.parse(text.toUpperCase())
  if (Number.isNaN(milliseconds)) return null
  const normal = new Date(milliseconds).toISOString()
  // An offset may lead out of the years of four digits.
  return normal.length === 24 ? normal : null
}
