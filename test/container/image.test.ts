import { access, readdir, readFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findOpenSockets } from "../agent/open-sockets.ts";
import { explainNoImages, ImageStore } from "./image-store.ts";
import { ServerContainer } from "./server-container.ts";

const VERSION = "9.9.9-image";
const BUILD_TIMEOUT_MS = 900_000;
const START_TIMEOUT_MS = 180_000;
const reasonToSkip = await explainNoImages();

interface DockerConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly Volumes: Readonly<Record<string, object>>;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

/** Asks the server under TLS, trusting the authority in its volume alone. */
function ask(url: string, ca: Buffer): Promise<{ readonly status: number | undefined; readonly text: string }> {
  return new Promise((resolve, reject) => {
    get(url, { ca, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    }).on("error", reject);
  });
}

describe.skipIf(reasonToSkip !== undefined)(
  `the server's image${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let store: ImageStore;
    let image: string;
    beforeAll(async () => {
      store = await ImageStore.create();
      image = await store.buildServer(VERSION, AbortSignal.timeout(BUILD_TIMEOUT_MS));
    }, BUILD_TIMEOUT_MS);
    afterAll(async () => {
      await store[Symbol.asyncDispose]();
      expect(await findOpenSockets()).toEqual([]);
    });

    test("says who runs it, what is kept, where it listens and how its health is told", async () => {
      const { Docker } = JSON.parse(await store.buildah("inspect", "--type", "image", image)) as {
        readonly Docker: { readonly config: DockerConfig };
      };
      const { config } = Docker;
      expect(config).toMatchObject({
        User: "rollcall-server",
        Entrypoint: ["node", "server/main.ts"],
        WorkingDir: "/opt/rollcall-server",
        Healthcheck: { Test: ["CMD", "node", "server/health/main.ts"] },
      });
      expect(Object.keys(config.Volumes)).toEqual(["/var/lib/rollcall"]);
      expect(Object.keys(config.ExposedPorts).toSorted()).toEqual(["7170/tcp", "7171/tcp"]);
      expect(config.Env).toContain(`ROLLCALL_VERSION=${VERSION}`);
    });

    test("holds what the server needs and nothing of its development", async () => {
      const container = await store.buildah("from", "--pull-never", image);
      const root = join(await store.buildah("mount", container), "opt", "rollcall-server");
      expect((await readdir(root)).toSorted()).toEqual([
        "agent",
        "dist",
        "gen",
        "node_modules",
        "package.json",
        "server",
      ]);
      const handedOut = await readdir(join(root, "agent"), { recursive: true });
      expect(handedOut).toContain("install/install.sh");
      expect(handedOut.filter((name) => name.endsWith(".ts"))).toEqual([]);
      const { dependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
        readonly dependencies: Readonly<Record<string, string>>;
      };
      for (const name of Object.keys(dependencies)) await access(join(root, "node_modules", name));
      for (const name of ["node", "typescript", "vite", "vitest", "svelte", "esbuild"])
        await expect(access(join(root, "node_modules", name))).rejects.toThrow("ENOENT");
    });

    test(
      "runs the server as nobody special, tells its health, keeps its data and stops in order",
      async () => {
        await using container = await ServerContainer.create(store, image);
        const first = await container.start();
        expect(first.version).toBe(VERSION);
        expect(await container.userId()).toBe(7170);

        const ca = await readFile(join(container.volume, "tls", "ca.crt"));
        const web = first.web.replace("0.0.0.0", "127.0.0.1");
        expect(await ask(`${web}/healthz`, ca)).toEqual({ status: 200, text: "ok\n" });
        expect((await ask(web, ca)).text).toMatch(/^<!doctype html>/i);

        const health = ["node", "server/health/main.ts"];
        const listens = `ROLLCALL_AGENT_LISTEN=${first.agents}`;
        expect(await container.run([listens], ...health)).toMatchObject({ succeeded: true, stdout: "" });
        await container.stop();
        expect(container.log).toMatch(/"event":"stopping".*"event":"database stopped"/s);
        const unhealthy = await container.run([listens], ...health);
        expect([unhealthy.succeeded, unhealthy.output]).toEqual([false, expect.stringContaining("not healthy")]);

        const token = await readFile(join(container.volume, "admin-token"), "utf8");
        await container.start();
        expect(await readFile(join(container.volume, "admin-token"), "utf8")).toBe(token);
      },
      START_TIMEOUT_MS,
    );
  },
);
