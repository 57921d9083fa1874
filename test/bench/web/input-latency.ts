/**
 * How long a person waits for the page to answer. Measured by the browser itself, as
 * Event Timing: from the event to the frame that shows what it did. *Source*:
 * https://w3c.github.io/event-timing
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";

/** *Units*: milliseconds. The browser tells durations in steps of 8, and none below 16. */
export interface InputFacts {
  readonly inputs: number;
  readonly inputP95Ms: number;
  readonly longestInputMs: number;
  /** Tasks of more than 50 ms on the page's thread. */
  readonly longTasks: number;
  readonly longestTaskMs: number;
}

/** What is told of no input that is quicker. */
const LEAST_MS = 16;
/** *Units*: milliseconds between two keys of somebody who types fast. */
const KEY_PAUSE_MS = 60;

interface InputNotes {
  readonly presses: number;
  /** By the number of the interaction. */
  readonly durations: Readonly<Record<string, number>>;
  readonly tasks: readonly number[];
}

/** Types into the search, moves through the table and filters it, again and again until `end` resolves. */
export async function measureInput(page: Page, end: Promise<unknown>): Promise<InputFacts> {
  await page.evaluate(await readFile(join(import.meta.dirname, "input-notes.js"), "utf8"));
  let isOver = false;
  const ended = end.finally(() => (isOver = true));
  const press = async (key: string): Promise<void> => {
    if (!isOver) await page.keyboard.press(key, { delay: KEY_PAUSE_MS });
  };
  while (!isOver) {
    await page.getByRole("searchbox").click();
    for (const key of "storm-012") await press(key);
    for (const key of ["Control+a", "Backspace"]) await press(key);
    await page.locator("[data-row]").first().focus();
    for (const key of ["ArrowDown", "ArrowDown", "Space", "PageDown", "PageDown", "Escape", "End", "Home"])
      await press(key);
    const filter = page.getByRole("button", { name: /^Behind/ });
    for (const _ of ["on", "off"]) if (!isOver) await filter.click();
  }
  await ended;
  return summarize(await page.evaluate<InputNotes>("inputNotes"));
}

function summarize({ presses, durations, tasks }: InputNotes): InputFacts {
  const slow = Object.values(durations);
  const quick = Array.from({ length: Math.max(0, presses - slow.length) }, () => LEAST_MS);
  const sorted = [...quick, ...slow].toSorted((a, b) => a - b);
  return {
    inputs: sorted.length,
    inputP95Ms: sorted[Math.floor(sorted.length * 0.95)] ?? 0,
    longestInputMs: sorted.at(-1) ?? 0,
    longTasks: tasks.length,
    longestTaskMs: Math.round(Math.max(0, ...tasks)),
  };
}
