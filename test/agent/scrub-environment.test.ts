import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createTestAuthority, startFakeAgentServer } from "../support/fake-agent-server.ts";
import { findOpenSockets } from "./open-sockets.ts";
import { runProgram } from "./run-program.ts";
import { TemporaryFolder } from "./temporary-folder.ts";

const AGENT = join(import.meta.dirname, "../../agent");

afterAll(async () => expect(await findOpenSockets()).toEqual([]));

test("what could change whom the agent trusts is gone from its environment, in either case; the rest stays", async () => {
  const env = {
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: "/a",
    grpc_proxy: "http://a",
    https_proxy: "http://b",
    HTTP_PROXY: "http://c",
    No_Proxy: "d",
    NODE_EXTRA_CA_CERTS: "/e",
    node_tls_reject_unauthorized: "0",
    SSL_CERT_FILE: "/f",
    OPENSSL_CONF: "/dev/null",
    PATH: "/usr/bin",
    MY_NODE_NAME: "kept",
    PROXY_NOT: "kept",
  };
  const script = `await import(${JSON.stringify(join(AGENT, "scrub-environment.ts"))}); console.log(JSON.stringify(process.env))`;
  const { stdout } = await runProgram(process.execPath, ["--input-type=module", "-e", script], { env });
  expect(JSON.parse(stdout)).toEqual({ PATH: "/usr/bin", MY_NODE_NAME: "kept", PROXY_NOT: "kept" });
});

test("an environment with a foreign authority and a proxy neither lets the agent reach an impostor nor keeps it from its server", async () => {
  await using folder = await TemporaryFolder.create();
  const [own, foreign] = [createTestAuthority(), createTestAuthority()];
  await using server = await startFakeAgentServer(own);
  await using impostor = await startFakeAgentServer(foreign);
  await writeFile(folder.join("foreign.pem"), foreign.caPem);
  await writeFile(folder.join("credential.json"), '{"host_id":"h","credential":"c"}', { mode: 0o600 });
  const env = {
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: folder.join("foreign.pem"),
    NODE_EXTRA_CA_CERTS: folder.join("foreign.pem"),
    https_proxy: "http://127.0.0.1:1",
    grpc_proxy: "http://127.0.0.1:1",
  };
  const reach = async (address: string) => {
    const configPath = folder.join(`${address.replace(":", "-")}.json`);
    await writeFile(configPath, JSON.stringify({ servers: [address], ca_pem: own.caPem }));
    const argv = [join(AGENT, "main.ts"), "--reach", "--config", configPath, "--state-dir", folder.path];
    return runProgram(process.execPath, argv, { env });
  };
  const [good, bad] = await Promise.all([reach(server.address), reach(impostor.address)]);
  expect(good).toEqual({ status: 0, stdout: "", stderr: "" });
  expect(bad.status).toBe(1);
});
