/**
 * How the first admin comes to be: named in the configuration, or whoever opens the
 * setup link of this start first. Nothing happens once there is a user.
 */
import type { Random } from "../domain/clock.ts";
import type { UserId } from "../domain/ids.ts";
import { checkPassword, checkUsername } from "./password-policy.ts";
import type { Passwords } from "./passwords.ts";
import type { AccountStore, MadeSetupLink } from "./ports.ts";
import { createSecret, digestSecret } from "./secrets.ts";
import { SETUP_LINK_LIFE_MS } from "./session-life.ts";

/** The first admin as the configuration names them. */
export interface ConfiguredAdmin {
  readonly username: string;
  readonly password: string;
}

/**
 * Sees to it that somebody can become admin.
 *
 * *Shape*: the link to announce; `undefined` when there is a user.
 * *Throws* InvalidFieldError when the configured name or password may not be.
 */
export async function prepareFirstAdmin(parts: {
  readonly store: AccountStore;
  readonly passwords: Passwords;
  readonly random: Random;
  readonly configured: ConfiguredAdmin | undefined;
}): Promise<MadeSetupLink | undefined> {
  const { store, passwords, random, configured } = parts;
  if ((await store.listUsers({ limit: 1 })).length > 0) return undefined;
  if (configured === undefined) {
    const token = createSecret("rc_setup_", random);
    return store.transaction(async (tx) => {
      await tx.lockAccounts();
      if (await tx.hasUsers()) return undefined;
      const tokenSha256 = digestSecret(token);
      const link = { tokenSha256, userId: null, createdBy: "rollcall", lifeMs: SETUP_LINK_LIFE_MS };
      return { token, expiresAt: await tx.replaceSetupLink(link) };
    });
  }
  const { username, password } = configured;
  checkUsername(username);
  checkPassword("password", password, username);
  const passwordHash = await passwords.hash(password);
  await store.transaction(async (tx) => {
    await tx.lockAccounts();
    if (await tx.hasUsers()) return;
    const id = random.uuid() as UserId;
    await tx.insertUser({ id, username, role: "admin", passwordHash, createdBy: "rollcall" });
    await tx.writeAuditEvent({
      actor: "rollcall",
      action: "user.created",
      cause: "named in the configuration of a server without users",
      details: { user_id: id, username, role: "admin" },
    });
  });
  return undefined;
}
