/** A real server with the dashboard, people who may sign in, and a browser that looks at it. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Browser, BrowserContext, Page } from "playwright-core";
import type { UserRole } from "../../../server/domain/user.ts";
import { buildDashboard } from "../../../web/build/build-dashboard.ts";
import { addSession, addUser } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { repositoryRoot } from "../../toolchain/repository-root.ts";
import { launchChromium } from "./chromium.ts";

/** How wide a screen is. */
export const SCREENS = { desk: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } } as const;

/** What a page is opened with. */
export interface Visit {
  readonly role?: UserRole;
  /** Nobody is signed in. */
  readonly isStranger?: boolean;
  /** Nobody may sign in yet. */
  readonly isEmpty?: boolean;
  /** `<host>:<port>` of what stands between browser and server. */
  readonly through?: string;
  readonly screen?: keyof typeof SCREENS;
  readonly theme?: "light" | "dark";
}

/** A page somebody looks at, and what went wrong in it. */
export interface Visitor extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, and what the page's policy refused. */
  readonly faults: string[];
}

/** Everything that a test of the dashboard stands on. */
export interface DashboardPlane extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly browser: Browser;
  /** Opens an address of the dashboard. */
  visit(path: string, visit?: Visit): Promise<Visitor>;
}

/** Starts server and browser. */
export async function startDashboardPlane(...options: Parameters<typeof startControlPlane>): Promise<DashboardPlane> {
  await using parts = new AsyncDisposableStack();
  await buildDashboard(repositoryRoot, () => {});
  const plane = parts.use(await startControlPlane(...options));
  const browser = await launchChromium();
  parts.defer(() => browser.close());
  const users = new Map<UserRole, ReturnType<typeof addUser>>();
  const userOf = (role: UserRole): ReturnType<typeof addUser> => {
    const found = users.get(role) ?? addUser(plane.database, NAMES[role], role);
    users.set(role, found);
    return found;
  };
  const running = parts.move();
  return {
    plane,
    browser,
    visit: async (path, visit = {}) => {
      const context = await browser.newContext({
        viewport: SCREENS[visit.screen ?? "desk"],
        colorScheme: visit.theme ?? "light",
        hasTouch: visit.screen === "phone",
        locale: "en-GB",
        timezoneId: "UTC",
      });
      context.setDefaultTimeout(20_000);
      const origin = visit.through === undefined ? plane.web : `http://${visit.through}`;
      if (visit.isEmpty !== true) await userOf(visit.role ?? "admin");
      if (visit.isStranger !== true) {
        const { secret } = await addSession(plane.database, await userOf(visit.role ?? "admin"));
        await context.addCookies([
          { name: "rollcall_session", value: secret, url: origin, sameSite: "Strict", httpOnly: true },
        ]);
      }
      const page = await context.newPage();
      const faults = collectFaults(page);
      await page.goto(`${origin}${path}`);
      return { page, context, faults, [Symbol.asyncDispose]: () => context.close() };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const NAMES: Readonly<Record<UserRole, string>> = { admin: "mara", operator: "otto", viewer: "vera" };

function collectFaults(page: Page): string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    // What the network refused is told by the page itself.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) faults.push(message.text());
  });
  return faults;
}

/** Waits until the page shows the whole fleet, live. */
export async function untilLive(page: Page): Promise<void> {
  await page.locator('[data-testid="connection"][data-state="live"]').first().waitFor();
  await page.getByTestId("tile-online").or(page.locator("h1")).first().waitFor();
}

/** Keeps a picture of the page under `dist/screenshots`, where `ROLLCALL_PICTURES=yes` asks for it: it takes a while. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  if (process.env["ROLLCALL_PICTURES"] !== "yes") return;
  const folder = join(repositoryRoot, "dist", "screenshots");
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
}

/** A page that works has none. */
export function expectNoFaults(visitor: Visitor): void {
  expect(visitor.faults).toEqual([]);
}
