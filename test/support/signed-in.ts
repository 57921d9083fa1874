import type { UserId, UserSessionId } from "../../server/domain/ids.ts";
import type { UserRole } from "../../server/domain/user.ts";
import { Browser } from "./account-client.ts";
import { addSession, addUser } from "./account-fixture.ts";
import type { ControlPlane } from "./control-plane.ts";

/** A new user, and the browser in which they are signed in. */
export interface SignedIn {
  readonly userId: UserId;
  readonly browser: Browser;
  readonly sessionId: UserSessionId;
}

/** Adds a user with a session. */
export async function signIn(plane: ControlPlane, username: string, role: UserRole): Promise<SignedIn> {
  const userId = await addUser(plane.database, username, role);
  const session = await addSession(plane.database, userId);
  const browser = new Browser(plane.web);
  browser.cookie = `rollcall_session=${session.secret}`;
  return { userId, browser, sessionId: session.id };
}
