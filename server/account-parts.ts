/** Puts the parts of people and their rights together. */
import { readFile } from "node:fs/promises";
import type { Kysely } from "kysely";
import { AccountDirectory } from "./account/caller-directory.ts";
import { prepareFirstAdmin, type ConfiguredAdmin } from "./account/first-admin.ts";
import { LoginThrottle } from "./account/login-throttle.ts";
import { Passwords } from "./account/passwords.ts";
import type { MadeSetupLink } from "./account/ports.ts";
import { SESSION_LIFE } from "./account/session-life.ts";
import { SignIn } from "./account/sign-in.ts";
import { UserDesk } from "./account/user-desk.ts";
import { OpenCallers } from "./api/open-callers.ts";
import { ConfigError, type FirstAdminConfig } from "./config.ts";
import type { Clock, Random } from "./domain/clock.ts";
import { InvalidFieldError } from "./domain/errors.ts";
import type { NoticeBoard } from "./replicas/notice-board.ts";
import { createAccountStore } from "./store/account-store.ts";
import type { Db } from "./store/schema.ts";

/** What the parts are made of. */
export interface AccountOptions {
  readonly db: Kysely<Db>;
  /** The token in the server's own file. */
  readonly adminToken: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Told when callers with an open stream could not be looked up. */
  readonly onError: (error: unknown) => void;
  /** The way to other servers. */
  readonly board: NoticeBoard;
  /** Told once the server has its first user. */
  readonly firstUserCreated: () => void;
}

/** Everything about people that the web listener works with. */
export interface AccountParts {
  readonly callers: AccountDirectory;
  /** The caller disposes it. */
  readonly openCallers: OpenCallers;
  readonly signIn: SignIn;
  readonly userDesk: UserDesk;
  /** Sees to it that somebody can become admin. *Shape*: the link to announce, if there is nobody yet. */
  prepareFirstAdmin(configured: FirstAdminConfig | undefined): Promise<MadeSetupLink | undefined>;
}

/** Makes them. */
export function createAccountParts(options: AccountOptions): AccountParts {
  const { db, clock, random } = options;
  const store = createAccountStore(db, SESSION_LIFE.idleMs);
  const callers = new AccountDirectory(store, options.adminToken);
  const openCallers = new OpenCallers(callers, clock, options.onError);
  const passwords = new Passwords(random);
  const rightsChanged = (): void => {
    openCallers.rightsChanged();
    options.board.tell("rights");
  };
  const throttle = createThrottle(clock, options.board);
  return {
    callers,
    openCallers,
    signIn: new SignIn({
      store,
      passwords,
      throttle,
      random,
      sessionsEnded: rightsChanged,
      firstUserCreated: options.firstUserCreated,
    }),
    userDesk: new UserDesk({ store, random, rightsChanged }),
    async prepareFirstAdmin(configured) {
      try {
        const admin = configured && (await readFirstAdmin(configured));
        return await prepareFirstAdmin({ store, passwords, random, configured: admin });
      } catch (error) {
        if (!(error instanceof InvalidFieldError)) throw error;
        throw new ConfigError(`the first admin's ${error.field} ${error.problem}`);
      }
    },
  };
}

async function readFirstAdmin({ username, password }: FirstAdminConfig): Promise<ConfiguredAdmin> {
  if ("text" in password) return { username, password: password.text };
  const text = await readFile(password.path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`ROLLCALL_ADMIN_PASSWORD_FILE cannot be read: ${error.message}`);
  });
  // Editors end a file with a line break that nobody means to type.
  return { username, password: text.replace(/\r?\n$/, "") };
}

/** Tries are numbered, since a notice that says the same twice is heard once. */
function createThrottle(clock: Clock, board: NoticeBoard): LoginThrottle {
  let number = 0;
  const tell = (topic: "login_tried" | "login_succeeded") => (key: string) => {
    number += 1;
    board.tell(topic, `${key} ${number}`);
  };
  const throttle = new LoginThrottle(clock, { tried: tell("login_tried"), succeeded: tell("login_succeeded") });
  const keyOf = (id: string): string => id.split(" ", 1)[0] ?? "";
  board.hear("login_tried", (ids) => {
    for (const id of ids) throttle.triedElsewhere(keyOf(id));
  });
  board.hear("login_succeeded", (ids) => {
    for (const id of ids) throttle.succeededElsewhere(keyOf(id));
  });
  return throttle;
}
