/** *Units*: milliseconds since some fixed moment, with a fraction; never goes back. */
export function stopwatchMs(): number {
  return performance.now();
}

/** Wall time, for file dates. */
export function wallDate(): Date {
  return new Date();
}
