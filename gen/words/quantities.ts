/** Figures as people read them. */

/** `1 host`, `2 hosts`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}

/** `61 MB`, `1.7 MB`, `512 kB`: decimal, as disks are sold and `df -H` prints. */
export function formatBytes(bytes: bigint | number): string {
  let value = Number(bytes);
  if (value < 1000) return `${value} B`;
  for (const unit of ["kB", "MB", "GB", "TB", "PB"]) {
    value /= 1000;
    if (value < 999.5 || unit === "PB") return `${value < 9.95 ? value.toFixed(1) : String(Math.round(value))} ${unit}`;
  }
  return "";
}

/** `44 s`, `3 min 12 s`, `2 h 5 min`, `3 d`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}

/** How far a download is. *Shape*: whole percent, never 100 before the last byte; `undefined` when the size is unknown. */
export function percentOf(done: bigint, total: bigint): number | undefined {
  if (total <= 0n) return undefined;
  const percent = Number((done * 100n) / total);
  return Math.min(100, Math.max(0, percent));
}

/** `a`, `a and b`, `a, b and 3 more`. */
export function nameSome(names: readonly string[], shown = 2): string {
  if (names.length === 0) return "";
  if (names.length > shown) return `${names.slice(0, shown).join(", ")} and ${names.length - shown} more`;
  return names.length === 1 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** A long version cut in its middle: those of git differ in the tail. */
export function shortenVersion(version: string): string {
  return version.length < 17 ? version : `${version.slice(0, 6)}…${version.slice(-9)}`;
}
