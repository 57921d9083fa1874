/** *Units*: milliseconds since some fixed moment, with a fraction; never goes back. */
export function stopwatchMs(): number {
  return performance.now();
}

/** Wall time, for file dates. */
export function wallDate(): Date {
  return new Date();
}

/** *Units*: milliseconds, with a fraction, since a moment that is the same for all processes of this machine. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
