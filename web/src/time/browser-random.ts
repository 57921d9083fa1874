/** A number from 0 up to, not including, 1. */
export type Random = () => number;

/** The browser's own; good enough to spread reconnects, and for nothing secret. */
export const browserRandom: Random = () => Math.random();
