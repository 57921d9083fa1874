/** Which rows of a long table stand in the document: those that are seen, and a few around them. */

/** *Units*: pixels, and rows from 0. */
export interface WindowQuery {
  readonly rows: number;
  readonly rowHeight: number;
  /** How far the table's first row lies above the upper edge of the window; negative while below it. */
  readonly scrolled: number;
  readonly windowHeight: number;
  readonly overscan: number;
}

/** From `first`, up to but not including `end`. */
export interface WindowRange {
  readonly first: number;
  readonly end: number;
}

/** The rows to draw. */
export function windowRange({ rows, rowHeight, scrolled, windowHeight, overscan }: WindowQuery): WindowRange {
  const first = Math.max(0, Math.floor(scrolled / rowHeight) - overscan);
  const end = Math.min(rows, Math.ceil((scrolled + windowHeight) / rowHeight) + overscan);
  return { first: Math.min(first, rows), end: Math.max(end, Math.min(first, rows)) };
}
