import { join } from "node:path";
import type { BrowserContext } from "playwright-core";

/** *Units*: milliseconds since the navigation began; the shift is a score of layout stability without a unit. */
export interface FirstPaint {
  /** Tiles have figures, and the table has rows as far down as is seen. */
  readonly usefulMs: number;
  /** Every host is here and changes come in. */
  readonly liveMs: number;
  readonly layoutShift: number;
}

/** Opens the page with an empty cache and waits until it is live. */
export async function measureFirstPaint(context: BrowserContext, url: string): Promise<FirstPaint> {
  const page = await context.newPage();
  await page.addInitScript({ path: join(import.meta.dirname, "paint-notes.js") });
  await page.goto(url);
  const notes = await page.evaluate<FirstPaint>("notedPaint");
  await page.close();
  return notes;
}
