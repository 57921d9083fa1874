/** The way to a server: FleetService and AccountService by Connect, as any other client. */
import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AccountService } from "../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";
import type { Login } from "./login-file.ts";
import { PinnedAgent } from "./pinned-agent.ts";

/** A server that is signed in to. */
export interface Server {
  /** Scheme, name and port, for sentences. */
  readonly origin: string;
  readonly fleet: Client<typeof FleetService>;
  readonly account: Client<typeof AccountService>;
}

/** *Units*: milliseconds. Streams are given none. */
const ANSWER_WITHIN_MS = 30_000;

/** For calls that last: `{ timeoutMs: 0 }`. */
export const NO_LIMIT = { timeoutMs: 0 } as const;

/** Connects with the first call. */
export function connectTo(login: Login, version: string): Server {
  const { server: origin, caPem, pin } = login;
  const transport = createConnectTransport({
    baseUrl: origin,
    // In HTTP/2 a window of 64 KiB a round trip would bound an upload over a long way.
    httpVersion: "1.1",
    useBinaryFormat: true,
    defaultTimeoutMs: ANSWER_WITHIN_MS,
    nodeOptions: pin !== undefined ? { agent: new PinnedAgent(pin) } : caPem !== undefined ? { ca: caPem } : {},
    interceptors: [introducing(login, version)],
  });
  return { origin, fleet: createClient(FleetService, transport), account: createClient(AccountService, transport) };
}

/** A session's cookie counts with the server's own origin only; see who may call what in ARCHITECTURE.md. */
function introducing({ server, token, cookie }: Login, version: string): Interceptor {
  return (next) => (request) => {
    request.header.set("user-agent", `rollcall/${version}`);
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    if (cookie !== undefined) {
      request.header.set("cookie", cookie);
      request.header.set("origin", server);
    }
    return next(request);
  };
}
