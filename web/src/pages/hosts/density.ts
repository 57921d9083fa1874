/** How close the rows of the table stand. This browser keeps what somebody chose. */
export type Density = "comfortable" | "compact";

const KEY = "rollcall.density";

/** What was chosen in this browser. */
export function readDensity(): Density {
  try {
    return localStorage.getItem(KEY) === "compact" ? "compact" : "comfortable";
  } catch {
    return "comfortable";
  }
}

/** Keeps a choice where the browser allows; else it holds as long as the page. */
export function keepDensity(density: Density): void {
  try {
    localStorage.setItem(KEY, density);
  } catch {
    // Storage may be forbidden.
  }
}
