import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import type { Api } from "../api.ts";

/** Who looks at the page. */
export type SessionState =
  | { readonly kind: "unknown" }
  /** The server could not be asked. */
  | { readonly kind: "unreached"; readonly failure: unknown }
  | {
      readonly kind: "signed-out" /** True when there was a session, and it ended by itself. */;
      readonly hasEnded: boolean;
    }
  | { readonly kind: "signed-in"; readonly name: string; readonly role: Role; readonly userId: string };

/** The session that the cookie carries. No script can read it; the server is asked. */
export class Session {
  readonly #api: Api;
  state: SessionState = $state.raw({ kind: "unknown" });
  readonly role: Role = $derived(this.state.kind === "signed-in" ? this.state.role : Role.UNSPECIFIED);
  readonly isAdmin: boolean = $derived(this.role >= Role.ADMIN);
  readonly isOperator: boolean = $derived(this.role >= Role.OPERATOR);

  constructor(api: Api) {
    this.#api = api;
  }

  /** Asks the server who this is. */
  async load(): Promise<void> {
    try {
      const { name, role, user } = await this.#api.account.getCurrentUser({});
      this.state = { kind: "signed-in", name, role, userId: user?.id ?? "" };
    } catch (failure) {
      const { code } = ConnectError.from(failure);
      const isNobody = code === Code.Unauthenticated || code === Code.PermissionDenied;
      if (isNobody) this.state = { kind: "signed-out", hasEnded: this.state.kind === "signed-in" };
      // Who is signed in stays so while the server is away.
      else if (this.state.kind !== "signed-in") this.state = { kind: "unreached", failure };
    }
  }

  /** Asks again whether there is a session. */
  async check(): Promise<boolean> {
    await this.load();
    return this.state.kind === "signed-in";
  }

  /** *Throws* ConnectError when the server does not let them in. */
  async signIn(username: string, password: string): Promise<void> {
    await this.#api.account.login({ username, password });
    await this.load();
  }

  /** *Throws* ConnectError when the server was not reached; the session then still stands. */
  async signOut(): Promise<void> {
    await this.#api.account.logout({});
    this.state = { kind: "signed-out", hasEnded: false };
  }
}
