import { describeError, type Log } from "./log.ts";
import { storeIdentity, type Identity } from "./identity.ts";

/** Holds the credential in use and replaces it when the server hands out the next. */
export class CredentialHolder {
  readonly #stateDir: string;
  readonly #log: Log;
  #identity: Identity;

  constructor(stateDir: string, identity: Identity, log: Log) {
    this.#stateDir = stateDir;
    this.#identity = identity;
    this.#log = log;
  }

  get current(): string {
    return this.#identity.credential;
  }

  /**
   * Stores the next credential, and only then uses it, from the next session on:
   * the server takes the old one until the new one was used, so one that was
   * used and lost would lock this host out.
   */
  async rotate(credential: string): Promise<void> {
    if (credential === this.#identity.credential) return;
    const next = { hostId: this.#identity.hostId, credential };
    try {
      await storeIdentity(this.#stateDir, next);
      this.#identity = next;
      this.#log.info("credential_rotated");
    } catch (error) {
      this.#log.warn("credential_not_rotated", { cause: describeError(error) });
    }
  }
}
