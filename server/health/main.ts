/**
 * `node server/health/main.ts`: ends with 0 while the server of the same environment
 * serves, for a container's health check. It asks the agent listener, which serves
 * gRPC's health service on whatever address, to whomever; the web listener may be a
 * proxy's alone.
 */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.js";
import { readConfig } from "../config.ts";

const TIMEOUT_MS = 8_000;
/** What listens on every address is reached on loopback. */
const REACHED: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };

try {
  const { host, port } = readConfig([], process.env).agentListen;
  const transport = createGrpcTransport({
    baseUrl: `https://${REACHED[host] ?? (host.includes(":") ? `[${host}]` : host)}:${port}`,
    // Nothing is told that a stranger could use, and the certificate may be for other names.
    nodeOptions: { rejectUnauthorized: false },
  });
  const { status } = await createClient(Health, transport).check({}, { timeoutMs: TIMEOUT_MS });
  if (status !== Status.SERVING) throw new Error(`the server says ${Status[status]}`);
} catch (error) {
  process.stderr.write(`not healthy: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
// An open connection would keep the process.
process.exit();
