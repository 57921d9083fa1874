import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { seededRandom } from "../../support/seeded-random.ts";

/** What the frames of a scroll held. */
export interface ScrollFacts {
  readonly frames: number;
  /** Rows that frames should have shown. */
  readonly rowsExpected: number;
  readonly rowsDropped: number;
  /** *Units*: milliseconds from frame to frame. */
  readonly frameP95Ms: number;
  readonly mostRowsInDocument: number;
}

interface FrameNotes extends Omit<ScrollFacts, "frames" | "frameP95Ms"> {
  readonly frames: readonly number[];
}

const WHEEL_TURNS = 150;
const WHEEL_PIXELS = 900;
const JUMPS = 40;

/** Turns the wheel down the table, then drags its scroll bar to and fro. */
export async function measureScroll(page: Page): Promise<ScrollFacts> {
  await page.mouse.move(700, 600);
  await page.evaluate(await readFile(join(import.meta.dirname, "frame-notes.js"), "utf8"));
  for (let turn = 0; turn < WHEEL_TURNS; turn += 1) await page.mouse.wheel(0, WHEEL_PIXELS);
  const random = seededRandom(1);
  for (let jump = 0; jump < JUMPS; jump += 1) {
    const share = random.between(0, 1);
    await page.evaluate(`scrollTo(0, ${share} * document.documentElement.scrollHeight)`);
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))");
  }
  const { frames, rowsExpected, rowsDropped, mostRowsInDocument } = await page.evaluate<FrameNotes>(
    "frameNotes.isOver = true, frameNotes",
  );
  const gaps = frames.slice(1).map((at, index) => at - (frames[index] ?? at));
  const frameP95Ms = Math.round(gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length * 0.95)] ?? 0);
  return { frames: frames.length, rowsExpected, rowsDropped, frameP95Ms, mostRowsInDocument };
}
