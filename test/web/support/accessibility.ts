import axe from "axe-core";
import type { Page } from "playwright-core";

/** What axe-core finds wrong with the page as it stands. *Shape*: one line a fault. */
export async function findAccessibilityFaults(page: Page): Promise<readonly string[]> {
  // Not a script element: the page's policy would refuse it.
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const run = (globalThis as unknown as { axe: typeof axe }).axe;
    const { violations } = await run.run(document, { resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ target, failureSummary }) => `${id}: ${String(target)} ${failureSummary ?? ""}`),
    );
  });
}
