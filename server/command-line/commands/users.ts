/** `users`: people, their roles, and where they are signed in. */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  CreateUserResponseSchema,
  ListSessionsResponseSchema,
  ListUsersResponseSchema,
  ResetUserResponseSchema,
  RevokeSessionResponseSchema,
  UserSchema,
  type SetupLink,
  type User,
} from "../../../gen/rollcall/v1/account_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { roleWord } from "../../../gen/words/role-words.ts";
import type { Server } from "../connect.ts";
import { findOne, shortId } from "../find-one.ts";
import { parseRole, ROLE_WORDS } from "../option-values.ts";
import { listAll } from "../pages.ts";
import { printTable } from "../table.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";
import { ago, moment } from "../words.ts";

/** Adds it. */
export function addUsers(program: Command, tool: Tool): void {
  const users = program.command("users").description("people; USER is a name or an id");
  users
    .command("list")
    .description("all of them, by name")
    .action(() => list(tool));
  users
    .command("add <name>")
    .description("add somebody, who signs in for the first time by the link that this prints")
    .option("--role <role>", `what they may do: ${ROLE_WORDS.join(", ")} (viewer)`, parseRole, Role.VIEWER)
    .action((username: string, { role }: { readonly role: Role }) => add(tool, username, role));
  users
    .command("set-role <user> <role>")
    .description("change what somebody may do; ends their sessions")
    .action((word: string, role: string) =>
      change(tool, word, (account, userId) => account.setUserRole({ userId, role: parseRole(role) })),
    );
  users
    .command("disable <user>")
    .description("let somebody in no longer; ends their sessions")
    .action((word: string) => change(tool, word, (account, userId) => account.disableUser({ userId })));
  users
    .command("enable <user>")
    .description("let them in again")
    .action((word: string) => change(tool, word, (account, userId) => account.enableUser({ userId })));
  users
    .command("reset <user>")
    .description("take a password away and print a link by which a new one is set")
    .action((word: string) => reset(tool, word));
  const sessions = users.command("sessions").description("where somebody is signed in");
  sessions
    .command("list [user]")
    .description("your own, or those of a user")
    .action((word: string | undefined) => listSessions(tool, word));
  sessions
    .command("revoke <id> [user]")
    .description("end one, of your own or of a user; the beginning of its id will do")
    .action((id: string, word: string | undefined) => revokeSession(tool, id, word));
}

async function list(tool: Tool): Promise<void> {
  const users = await listUsers(await tool.connect());
  show(tool, ListUsersResponseSchema, create(ListUsersResponseSchema, { users }), () => {
    const rows = users.map((user) => [
      user.username,
      roleWord(user.role),
      standing(user),
      ago(tool, user.lastLoginAt),
      shortId(user.id),
    ]);
    printTable(tool.terminal, ["USER", "ROLE", "STANDS", "SIGNED IN", "ID"], rows, "There are no users yet.");
  });
}

function standing(user: User): string {
  if (user.disabled) return "disabled";
  return user.setUp ? "active" : "not set up yet";
}

async function add(tool: Tool, username: string, role: Role): Promise<void> {
  const { account } = await tool.connect();
  const answer = await account.createUser({ username, role });
  show(tool, CreateUserResponseSchema, answer, () => tellLink(tool, username, answer.setupLink));
}

async function reset(tool: Tool, word: string): Promise<void> {
  const server = await tool.connect();
  const { id, username } = await findUser(server, word);
  const answer = await server.account.resetUser({ userId: id });
  show(tool, ResetUserResponseSchema, answer, () => tellLink(tool, username, answer.setupLink));
}

function tellLink({ terminal }: Tool, username: string, link: SetupLink | undefined): void {
  terminal.print(printable(link?.url ?? ""));
  terminal.say(
    printable(`Give this link to ${username}. It lets one person in, once, until ${moment(link?.expiresAt)}.`),
  );
}

async function change(
  tool: Tool,
  word: string,
  call: (account: Server["account"], userId: string) => Promise<{ user?: User | undefined }>,
): Promise<void> {
  const server = await tool.connect();
  const { user } = await call(server.account, (await findUser(server, word)).id);
  if (user === undefined) return;
  show(tool, UserSchema, user, () =>
    tool.terminal.print(printable(`${user.username} is ${roleWord(user.role)}, ${standing(user)}.`)),
  );
}

async function listSessions(tool: Tool, word: string | undefined): Promise<void> {
  const sessions = await readSessions(await tool.connect(), word);
  show(tool, ListSessionsResponseSchema, create(ListSessionsResponseSchema, { sessions }), () => {
    const rows = sessions.map((session) => [
      shortId(session.id),
      session.current ? "this one" : ago(tool, session.lastUsedAt),
      session.address,
      moment(session.expiresAt),
      session.userAgent,
    ]);
    printTable(tool.terminal, ["ID", "LAST USED", "FROM", "ENDS", "BY"], rows, "There is no session.");
  });
}

async function revokeSession(tool: Tool, id: string, word: string | undefined): Promise<void> {
  const server = await tool.connect();
  const session = findOne(await readSessions(server, word), id, "session");
  const answer = await server.account.revokeSession({ sessionId: session.id });
  show(tool, RevokeSessionResponseSchema, answer, () => tool.terminal.print(`Ended session ${shortId(session.id)}.`));
}

async function readSessions(server: Server, word: string | undefined) {
  const userId = word === undefined ? "" : (await findUser(server, word)).id;
  return await listAll(async (page) => {
    const answer = await server.account.listSessions({ userId, ...page });
    return { items: answer.sessions, nextPageToken: answer.nextPageToken };
  });
}

function listUsers({ account }: Server): Promise<User[]> {
  return listAll(async (page) => {
    const { users, nextPageToken } = await account.listUsers(page);
    return { items: users, nextPageToken };
  });
}

async function findUser(server: Server, word: string): Promise<User> {
  return findOne(await listUsers(server), word, "user", ({ username }) => username);
}
