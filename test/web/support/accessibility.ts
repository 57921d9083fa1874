import axe from "axe-core";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { keepPicture, SCREENS } from "./dashboard-plane.ts";

/** What axe-core finds wrong with the page as it stands. *Shape*: one line a fault. */
export async function findAccessibilityFaults(page: Page): Promise<readonly string[]> {
  // Not a script element: the page's policy would refuse it. Half a megabyte, so once a page.
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe;
    const { violations } = await run.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary ?? ""}`),
    );
  });
}

/**
 * Holds a page to axe-core in both themes, and to the width of the screen, on each of `screens`. The page stands as it
 * is afterwards, in the dark on the last of them. `name` is that of the pictures.
 */
export async function expectAccessible(
  page: Page,
  name: string,
  screens: readonly (keyof typeof SCREENS)[] = ["desk", "phone"],
): Promise<void> {
  // Colours on their way from one theme to the other are no fault.
  await page.emulateMedia({ reducedMotion: "reduce" });
  for (const screen of screens) {
    await page.setViewportSize(SCREENS[screen]);
    for (const theme of ["light", "dark"] as const) {
      await page.evaluate((chosen) => (document.documentElement.dataset["theme"] = chosen), theme);
      await keepPicture(page, `${name}-${screen}-${theme}`);
      expect(await findAccessibilityFaults(page), `${name}, ${screen}, ${theme}`).toEqual([]);
    }
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(tooWide, `${name}, ${screen}: pixels wider than the screen`).toBeLessThanOrEqual(0);
  }
}
