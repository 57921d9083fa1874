/** `login`, `logout` and `status`: who one is to which server. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { GetCurrentUserResponseSchema } from "../../../gen/rollcall/v1/account_pb.js";
import { roleWord } from "../../../gen/words/role-words.ts";
import { count } from "../../../gen/words/quantities.ts";
import { CommandError, usageError } from "../command-error.ts";
import { connectTo, type Server } from "../connect.ts";
import { EXIT } from "../exit-status.ts";
import { explainFailure } from "../explain-failure.ts";
import { loginPath, readLogin, readTrust, removeLogin, writeLogin, type Login } from "../login-file.ts";
import { parseServerUrl } from "../server-url.ts";
import { printFacts } from "../table.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";

interface LoginOptions {
  readonly username?: string;
  readonly caFile?: string;
  readonly pin?: string;
  readonly passwordStdin?: true;
  readonly tokenStdin?: true;
  readonly tokenFile?: string;
}

/** Adds them. */
export function addLogin(program: Command, tool: Tool): void {
  program
    .command("login <server>")
    .description("sign in to a server, such as https://rollcall.example.org:7170, and remember it")
    .option("-u, --username <name>", "who you are; asked for when left out")
    .option("--password-stdin", "read the password from standard input, not the terminal")
    .option("--token-stdin", "read an API token from standard input instead of signing in")
    .option("--token-file <file>", "read it from a file, such as the server's admin-token")
    .option("--ca-file <file>", "the authority that signed the server's certificate, as agents have it (tls/ca.crt)")
    .option("--pin <sha256//…>", "the server's key, as in the line that installs an agent")
    .action((server: string, options: LoginOptions) => login(tool, server, options));
  program
    .command("logout")
    .description("end the session and forget the server")
    .action(() => logout(tool));
  program
    .command("status")
    .description("who you are to the server, and how its fleet is")
    .action(() => status(tool));
}

async function login(tool: Tool, address: string, options: LoginOptions): Promise<void> {
  const server = parseServerUrl(address).origin;
  const ways = [options.passwordStdin, options.tokenStdin, options.tokenFile].filter((way) => way !== undefined);
  if (ways.length > 1) throw usageError("Only one of --password-stdin, --token-stdin and --token-file can be meant.");
  const trust = await readTrust(options.caFile, options.pin);
  const token = await readToken(tool, options);
  const login: Login = { server, ...trust, ...(token === undefined ? {} : { token }) };
  try {
    const kept = token === undefined ? { ...login, cookie: await signIn(tool, login, options) } : login;
    const answer = await connectTo(kept, tool.version).account.getCurrentUser({});
    const path = loginPath(tool.environment);
    await writeLogin(path, kept);
    show(tool, GetCurrentUserResponseSchema, answer, () => {
      tool.terminal.print(printable(`Signed in to ${server} as ${answer.name} (${roleWord(answer.role)}).`));
    });
    tool.terminal.say(`Kept in ${path}, readable by you alone.`);
  } catch (error) {
    throw explainFailure(error, server);
  }
}

async function readToken(tool: Tool, { tokenStdin, tokenFile }: LoginOptions): Promise<string | undefined> {
  if (tokenStdin === undefined && tokenFile === undefined) return undefined;
  const token = (tokenFile === undefined ? await tool.readStdin() : await readFile(tokenFile, "utf8")).trim();
  if (/^[\x21-\x7e]{1,512}$/.test(token)) return token;
  throw usageError("The token is not one: printable characters without spaces are expected.");
}

/** *Shape*: `name=value` of the session's cookie. */
async function signIn(tool: Tool, login: Login, options: LoginOptions): Promise<string> {
  const username = options.username ?? (await tool.ask("Username: ")).trim();
  const password =
    options.passwordStdin === undefined
      ? await tool.ask("Password: ", { isSecret: true })
      : (await tool.readStdin()).replace(/\r?\n$/, "");
  let cookie: string | undefined;
  const onHeader = (header: Headers): void => {
    cookie = header.get("set-cookie")?.split(";", 1)[0];
  };
  await connectTo(login, tool.version).account.login({ username, password }, { onHeader });
  if (cookie === undefined) throw new CommandError(`${login.server} began no session.`, EXIT.serverFailed);
  return cookie;
}

async function logout(tool: Tool): Promise<void> {
  const path = loginPath(tool.environment);
  const { ROLLCALL_SERVER: _server, ROLLCALL_TOKEN: _token, ...environment } = tool.environment;
  const login = await readLogin(environment);
  const { server, cookie } = login;
  try {
    if (cookie !== undefined) await connectTo(login, tool.version).account.logout({});
  } catch (error) {
    throw new CommandError(
      `The session was not ended: ${explainFailure(error, server).message} To forget it here all the same, remove ${path}.`,
      explainFailure(error, server).exitStatus,
      { cause: error },
    );
  }
  await removeLogin(path);
  tool.terminal.say(
    cookie === undefined
      ? `Forgot the token for ${server}; it still counts until it is revoked.`
      : `Signed out of ${server}.`,
  );
}

async function status(tool: Tool): Promise<void> {
  const server = await tool.connect();
  const user = await server.account.getCurrentUser({});
  const { version, hosts } = await lookAtFleet(server);
  show(tool, GetCurrentUserResponseSchema, user, () => {
    printFacts(tool.terminal, [
      ["server", server.origin],
      ["version", version],
      ["signed in as", `${user.name} (${roleWord(user.role)})`],
      ["hosts", hosts],
    ]);
  });
}

async function lookAtFleet({ fleet }: Server): Promise<{ readonly version: string; readonly hosts: string }> {
  const { version } = await fleet.getServer({});
  const { total = 0, online = 0, behind = 0, openAlerts = 0 } = (await fleet.listHosts({ pageSize: 1 })).counts ?? {};
  const alerts = openAlerts === 0 ? "" : `, ${count(openAlerts, "open alert")}`;
  return { version, hosts: `${total}: ${online} online, ${behind} behind${alerts}` };
}
