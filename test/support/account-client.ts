/** Clients of AccountService: programs with a token, and what a browser does about cookies. */
import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AccountService } from "../../gen/rollcall/v1/account_pb.js";
import { FleetService } from "../../gen/rollcall/v1/fleet_pb.js";

/** What headers a client sends. */
export type Headers = () => Readonly<Record<string, string>>;

/** A client whose requests carry these headers. */
export function accountsWith(web: string, headers: Headers): Client<typeof AccountService> {
  return createClient(
    AccountService,
    createConnectTransport({ baseUrl: web, httpVersion: "1.1", interceptors: [adding(headers)] }),
  );
}

/** A program with a token. */
export function accountsOf(web: string, token: string): Client<typeof AccountService> {
  return accountsWith(web, () => ({ authorization: `Bearer ${token}` }));
}

/** Keeps the cookie that the server gives it, and sends it along with its page's origin. */
export class Browser {
  /** Every `Set-Cookie` that came, oldest first. */
  readonly cookiesSet: string[] = [];
  /** `name=value` */
  cookie: string | undefined;
  readonly accounts: Client<typeof AccountService>;
  readonly fleet: Client<typeof FleetService>;

  constructor(web: string, more: Readonly<Record<string, string>> = {}) {
    const headers = (): Readonly<Record<string, string>> => ({
      origin: web,
      "user-agent": "test browser",
      ...(this.cookie === undefined ? {} : { cookie: this.cookie }),
      ...more,
    });
    const keepCookies: Interceptor = (next) => async (request) => {
      const response = await next(request);
      const set = response.header.get("set-cookie");
      if (set !== null) this.#take(set);
      return response;
    };
    const transport = createConnectTransport({
      baseUrl: web,
      httpVersion: "1.1",
      interceptors: [adding(headers), keepCookies],
    });
    this.accounts = createClient(AccountService, transport);
    this.fleet = createClient(FleetService, transport);
  }

  #take(set: string): void {
    this.cookiesSet.push(set);
    const [pair = ""] = set.split(";");
    this.cookie = pair.endsWith("=") ? undefined : pair;
  }
}

function adding(headers: Headers): Interceptor {
  return (next) => (request) => {
    for (const [name, value] of Object.entries(headers())) request.header.set(name, value);
    return next(request);
  };
}
