import { connect, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.js";
import { fail, ok, type Finding } from "../../gen/finding.ts";
import type { Config, ListenAddress } from "../config.ts";

const TIMEOUT_MS = 8_000;
/** What listens on every address is reached on loopback. */
const REACHED: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Do both ports answer, and is it a Rollcall server that does? */
export async function checkListeners(config: Config): Promise<readonly Finding[]> {
  return [await checkAgentListener(config.agentListen), await checkWebListener(config.webListen)];
}

async function checkAgentListener(address: ListenAddress): Promise<Finding> {
  const check = "port of agents";
  const where = nameOf(address);
  const refused = await tryToConnect(address);
  if (refused !== undefined)
    return fail(
      check,
      `Nothing answers on ${where}: ${refused}.`,
      "Start the server; ROLLCALL_AGENT_LISTEN says where it listens.",
    );
  // Nothing is told that a stranger could use, and the certificate may be for other names.
  const session = new Http2SessionManager(`https://${where}`, undefined, { rejectUnauthorized: false });
  try {
    const transport = createGrpcTransport({ baseUrl: `https://${where}`, sessionManager: session });
    const { status } = await createClient(Health, transport).check({}, { timeoutMs: TIMEOUT_MS });
    if (status === Status.SERVING) return ok(check, `The server serves on ${where}.`);
    return fail(check, `The server on ${where} says ${Status[status]}.`, "Its log says what it waits for.");
  } catch (error) {
    return fail(
      check,
      `What answers on ${where} is no Rollcall server: ${(error as Error).message}.`,
      "Find out what listens there (ss -ltnp), and end it or choose another port.",
    );
  } finally {
    // An open connection would keep the process.
    session.abort();
  }
}

async function checkWebListener(address: ListenAddress): Promise<Finding> {
  const check = "port of the web";
  const where = nameOf(address);
  const refused = await tryToConnect(address);
  if (refused === undefined) return ok(check, `Something answers on ${where}.`);
  return fail(
    check,
    `Nothing answers on ${where}: ${refused}.`,
    "Start the server; ROLLCALL_WEB_LISTEN says where it listens.",
  );
}

/** *Shape*: `undefined` when somebody answers, else why not. */
function tryToConnect({ host, port }: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: REACHED[host] ?? host, port, timeout: TIMEOUT_MS });
    const end = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => end(undefined));
    socket.once("timeout", () => end("no answer in time"));
    socket.once("error", (error) => end(error.message));
  });
}

function nameOf({ host, port }: ListenAddress): string {
  const reached = REACHED[host] ?? host;
  return reached.includes(":") ? `[${reached}]:${port}` : `${reached}:${port}`;
}
