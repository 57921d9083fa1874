import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { repositoryRoot } from "../toolchain/repository-root.ts";
import { ensureDebianRoot } from "./debian-root.ts";
import { explainNoHosts } from "./explain-no-hosts.ts";
import { GREATEST_EXPOSURE, measureExposure } from "./exposure.ts";
import { untilLogged } from "./host-events.ts";
import { addUser } from "./host-users.ts";
import { HostNetwork } from "./host-network.ts";
import { SystemdHost } from "./systemd-host.ts";

const UNIT = "rollcall-server.service";
const reasonToSkip = await explainNoHosts();

describe.skipIf(reasonToSkip !== undefined)(
  `the server's unit as shipped${reasonToSkip === undefined ? "" : ` (skipped: ${reasonToSkip})`}`,
  () => {
    let root: string;
    beforeAll(async () => {
      root = await ensureDebianRoot(AbortSignal.timeout(600_000));
    }, 600_000);

    it("runs the server with a PostgreSQL of its own, which stops with it in order", async () => {
      await using owned = new AsyncDisposableStack();
      const network = owned.use(await HostNetwork.create());
      const folder = await mkdtemp(join(tmpdir(), "rollcall-hosts-"));
      owned.defer(() => rm(folder, { recursive: true }));
      const host = owned.use(
        await SystemdHost.create({
          name: "server",
          folder: join(folder, "server"),
          root,
          network,
          shared: { [repositoryRoot]: "/opt/rollcall-server" },
        }),
      );
      await addUser(host, "rollcall-server");
      await mkdir(host.pathBeforeBoot("/opt/rollcall-server"), { recursive: true });
      await copyFile(join(repositoryRoot, "server", UNIT), host.pathBeforeBoot(join("/etc/systemd/system", UNIT)));
      await host.boot();
      await host.demand("systemctl", "enable", "--now", UNIT);
      await untilLogged(host, UNIT, '"event":"ready"');
      expect(await measureExposure(host, UNIT)).toBeLessThanOrEqual(GREATEST_EXPOSURE);
      expect(await host.demand("curl", "-sS", "http://127.0.0.1:7170/")).toMatch(/^<!doctype html>/i);
      await host.demand("systemctl", "stop", UNIT);
      expect(await host.demand("systemctl", "show", "-p", "Result,ExecMainStatus", UNIT)).toBe(
        "Result=success\nExecMainStatus=0\n",
      );
      const log = await host.demand("journalctl", "--no-pager", "--output=cat", `--unit=${UNIT}`);
      expect(log).toMatch(/"event":"stopping".*"event":"database stopped"/s);
    }, 240_000);
  },
);
