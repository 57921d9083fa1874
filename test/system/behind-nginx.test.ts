/** Debian's nginx, configured as the documentation says, in front of people and agents. Some 10 s. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { link, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostStatus } from "../../gen/rollcall/v1/model_pb.js";
import { explainMissingTools } from "../faults/system-tools.ts";
import { layOutAgentHost } from "../support/agent-host.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { buildTestAgents } from "../support/built-agent.ts";
import { ChildFleet } from "../support/child-fleet.ts";
import { createFleetClient } from "../support/control-plane.ts";
import { findQuietPort } from "../support/quiet-port.ts";
import type { ServerChild } from "../support/server-child.ts";
import { watchUntil } from "../support/watch-until.ts";
import { repositoryRoot } from "../toolchain/repository-root.ts";

const run = promisify(execFile);
/** Debian keeps nginx where only root looks. */
const PATHS = { env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` } };
const reasonToSkip = explainMissingTools("nginx", "libnginx-mod-stream", "openssl");

describe.skipIf(reasonToSkip !== undefined)(
  `behind nginx${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    const parts = new AsyncDisposableStack();
    let folder: string;
    let certificate: string;
    let server: ServerChild;
    let web: string;
    let agents: string;

    beforeAll(async () => {
      folder = await realpath(await mkdtemp(join(tmpdir(), "rollcall-nginx-")));
      parts.defer(() => rm(folder, { recursive: true }));
      const fleet = parts.use(await ChildFleet.create({ heartbeatIntervalMs: 500 }));
      server = fleet.addServer("one");
      agents = `127.0.0.1:${await findQuietPort()}`;
      web = `127.0.0.1:${await findQuietPort()}`;
      await server.start({
        ROLLCALL_TRUST_PROXY: "127.0.0.1",
        ROLLCALL_PUBLIC_URL: `https://${web}`,
        ROLLCALL_AGENT_URLS: agents,
      });
      certificate = await makeCertificate(folder);
      parts.use(await startNginx(folder, { server, web, agents }));
    }, 120_000);
    afterAll(() => parts.disposeAsync());

    it("agents hold their streams through it, and whoever watches sees them come at once", async () => {
      const { older } = await buildTestAgents();
      const fleet = createFleetClient(`https://${web}`, await server.adminToken(), certificate);
      const host = await layOutAgentHost({
        folder: join(folder, "web-1"),
        hostname: "web-1",
        fleet,
        server: { agents, caPem: await server.caPem() },
      });
      await link(older.binaryPath, host.paths.binary);
      const seen = watchUntil(fleet, async (change) =>
        change.case === "host" && change.value.status === HostStatus.ONLINE ? change.value.hostname : undefined,
      );
      await using agent = await AgentProcess.start(host);
      expect(await seen).toBe("web-1");
      await agent.until("connected", 1);
    }, 120_000);

    it("the page comes whole, knows that it came by https and from whom", async () => {
      const { stdout } = await run("curl", ["-sS", "--cacert", join(folder, "web.pem"), "-D", "-", `https://${web}/`]);
      expect(stdout).toMatch(/^HTTP\/2 200/);
      expect(stdout.toLowerCase()).toContain("content-security-policy:");
      const login = await run("curl", [
        "-sS",
        "--cacert",
        join(folder, "web.pem"),
        "-H",
        `origin: https://${web}`,
        "--json",
        '{"username":"nobody","password":"not the password"}',
        `https://${web}/rollcall.v1.AccountService/Login`,
      ]);
      // Not refused as insecure or as another site's, but for what it says.
      expect(JSON.parse(login.stdout)).toMatchObject({ code: "unauthenticated" });
    });
  },
);

/** For 127.0.0.1, as `web.pem` and `web.key`. *Shape*: the certificate. */
async function makeCertificate(folder: string): Promise<string> {
  const [certificate, key] = [join(folder, "web.pem"), join(folder, "web.key")];
  const options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1";
  const name = ["-addext", "subjectAltName=IP:127.0.0.1"];
  await run("openssl", [...options.split(" "), ...name, "-keyout", key, "-out", certificate]);
  return readFile(certificate, "utf8");
}

/** Starts it with docs/nginx.conf, whose places and ports are this machine's here. */
async function startNginx(
  folder: string,
  { server, web, agents }: { readonly server: ServerChild; readonly web: string; readonly agents: string },
): Promise<AsyncDisposable> {
  let text = await readFile(join(repositoryRoot, "docs", "nginx.conf"), "utf8");
  const replace = (from: string, to: string): void => {
    expect(text, "docs/nginx.conf").toContain(from);
    text = text.replace(from, to);
  };
  replace("/run/nginx.pid", join(folder, "nginx.pid"));
  replace("/var/log/nginx/error.log", join(folder, "error.log"));
  replace("/var/log/nginx/access.log", join(folder, "access.log"));
  replace("/etc/ssl/rollcall.pem", join(folder, "web.pem"));
  replace("/etc/ssl/rollcall.key", join(folder, "web.key"));
  replace("listen 7443 ", `listen ${agents} `);
  replace("listen 443 ", `listen ${web} `);
  replace("proxy_pass 127.0.0.1:7171;", `proxy_pass ${server.agents};`);
  replace("proxy_pass http://127.0.0.1:7170;", `proxy_pass ${server.web};`);
  const config = join(folder, "nginx.conf");
  await writeFile(config, text);
  await run("nginx", ["-t", "-q", "-c", config], PATHS);
  const nginx = spawn("nginx", ["-c", config, "-g", "daemon off;"], { ...PATHS, stdio: "ignore" });
  const exit = once(nginx, "exit");
  const patience = ["--retry", "50", "--retry-connrefused", "--retry-delay", "1", "--retry-max-time", "30"];
  await run("curl", [
    "-sS",
    "-o",
    join(folder, "first.html"),
    "--cacert",
    join(folder, "web.pem"),
    ...patience,
    `https://${web}/`,
  ]);
  return {
    [Symbol.asyncDispose]: async () => {
      nginx.kill("SIGTERM");
      await exit;
    },
  };
}
