import type { AccessKeeper } from "./access-keeper.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { createDelivery } from "./stream/delivery-client.ts";
import { heartbeatMs, type Session, type SessionListener } from "./stream/session.ts";
import type { UpdateLink } from "./updater/update-link.ts";
import type { UpdateRunner } from "./updater/update-runner.ts";

/** How long a replaced process waits for the server to take its goodbye. *Units*: milliseconds. */
const GOODBYE_LIMIT_MS = 300;

/** Hands the current session to the updater. */
export class LinkKeeper implements SessionListener {
  readonly #runner: UpdateRunner;
  readonly #rotateCredential: (next: string) => Promise<void>;
  readonly #access: Pick<AccessKeeper, "told"> | undefined;
  readonly #log: Log;
  #current: { readonly session: Session; readonly link: UpdateLink } | undefined;

  /** Without `access` this host stays where its configuration sends it. */
  constructor(
    runner: UpdateRunner,
    rotateCredential: (next: string) => Promise<void>,
    log: Log,
    access?: Pick<AccessKeeper, "told">,
  ) {
    this.#access = access;
    this.#runner = runner;
    this.#rotateCredential = rotateCredential;
    this.#log = log;
  }

  welcomed: SessionListener["welcomed"] = (session, welcome) => {
    const { epoch, signal } = session;
    const link: UpdateLink = {
      epoch,
      signal,
      delivery: createDelivery(session),
      report: (progress) => session.report(progress),
      close: () => session.close(),
    };
    this.#current = { session, link };
    this.#log.info("connected", {
      server_version: welcome.serverVersion,
      session_epoch: String(epoch),
      target_version: welcome.targetVersion,
    });
    this.#runner.welcomed(link);
    if (welcome.access !== undefined) void this.#access?.told(welcome.access, heartbeatMs(welcome), signal);
    if (welcome.nextCredential !== "") void this.#rotateCredential(welcome.nextCredential);
  };

  received: SessionListener["received"] = (session, message) => {
    if (this.#current?.session === session) this.#runner.received(this.#current.link, message);
  };

  /** Ends the session in order; resolves when the server has answered, soon in any case. */
  async sayGoodbye(clock: Clock): Promise<void> {
    const session = this.#current?.session;
    if (session === undefined || session.signal.aborted) return;
    session.close();
    await clock.sleep(GOODBYE_LIMIT_MS, session.signal).catch(() => undefined);
  }
}
