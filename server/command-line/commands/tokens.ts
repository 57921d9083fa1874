/** `tokens`: what lets a machine become a host (enrolment), and what programs sign requests with (API). */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  CreateApiTokenResponseSchema,
  ListApiTokensResponseSchema,
  RevokeApiTokenResponseSchema,
  type ApiToken,
} from "../../../gen/rollcall/v1/account_pb.js";
import {
  CreateEnrollmentTokenResponseSchema,
  ListEnrollmentTokensResponseSchema,
  RevokeEnrollmentTokenResponseSchema,
  type EnrollmentToken,
} from "../../../gen/rollcall/v1/catalog_pb.js";
import { Role } from "../../../gen/rollcall/v1/options_pb.js";
import { roleWord } from "../../../gen/words/role-words.ts";
import type { Server } from "../connect.ts";
import { findOne, shortId } from "../find-one.ts";
import { parseCount, parseDuration, parseRole, ROLE_WORDS } from "../option-values.ts";
import { listAll } from "../pages.ts";
import { printTable } from "../table.ts";
import { printable } from "../terminal.ts";
import { show, type Tool } from "../tool.ts";
import { ago, moment, untilWhen } from "../words.ts";

interface EnrolmentOptions {
  readonly label: string;
  readonly validFor: number;
  readonly uses: number;
  readonly windows?: true;
}

interface ApiOptions {
  readonly role: Role;
  readonly validFor: number;
}

const HOUR_S = 3600;
const NINETY_DAYS_S = 90 * 86_400;

/** Adds it. */
export function addTokens(program: Command, tool: Tool): void {
  const tokens = program.command("tokens").description("enrolment tokens for hosts, API tokens for programs");
  addEnrolment(tokens.command("enrolment").description("what lets a machine become a host"), tool);
  addApi(tokens.command("api").description("what programs sign their requests with"), tool);
}

function addEnrolment(group: Command, tool: Tool): void {
  group
    .command("create")
    .description("print the line that makes a machine a host")
    .option("--label <text>", "what it is for", "")
    .option("--valid-for <duration>", "as in 90s, 15m, 2h, 30d", parseDuration, HOUR_S)
    .option("--uses <n>", "machines that it lets in", parseCount, 1)
    .option("--windows", "the line for Windows (experimental)")
    .action((options: EnrolmentOptions) => createEnrolment(tool, options));
  group
    .command("list")
    .description("all of them, newest first")
    .action(() => listEnrolment(tool));
  group
    .command("revoke <id>")
    .description("let no machine in by it any longer")
    .action(async (word: string) => {
      const server = await tool.connect();
      const { id } = findOne((await server.fleet.listEnrollmentTokens({})).tokens, word, "enrolment token");
      const answer = await server.fleet.revokeEnrollmentToken({ tokenId: id });
      show(tool, RevokeEnrollmentTokenResponseSchema, answer, () =>
        tool.terminal.print(`Revoked enrolment token ${shortId(id)}.`),
      );
    });
}

async function createEnrolment(tool: Tool, { label, validFor, uses, windows }: EnrolmentOptions): Promise<void> {
  const { fleet } = await tool.connect();
  const answer = await fleet.createEnrollmentToken({ label, validForSeconds: validFor, maxUses: uses });
  show(tool, CreateEnrollmentTokenResponseSchema, answer, () => {
    tool.terminal.print(printable(windows === true ? answer.windowsInstallCommand : answer.installCommand));
    const who = windows === true ? "as administrator" : "as root";
    tool.terminal.say(
      `Run this line ${who} on the machine. It holds the token, and counts until ${moment(answer.expiresAt)}.`,
    );
  });
}

async function listEnrolment(tool: Tool): Promise<void> {
  const { fleet } = await tool.connect();
  const answer = await fleet.listEnrollmentTokens({});
  show(tool, ListEnrollmentTokensResponseSchema, answer, () => {
    const rows = answer.tokens.map((token) => [
      shortId(token.id),
      enrolmentEnds(tool, token),
      `${token.uses} of ${token.maxUses}`,
      token.createdBy,
      token.label,
    ]);
    printTable(tool.terminal, ["ID", "ENDS", "USED", "MADE BY", "FOR"], rows, "There are no enrolment tokens.");
  });
}

function enrolmentEnds(tool: Tool, token: EnrollmentToken): string {
  if (token.revokedAt !== undefined) return "revoked";
  return token.uses >= token.maxUses ? "used up" : untilWhen(tool, token.expiresAt);
}

function addApi(group: Command, tool: Tool): void {
  group
    .command("create <label>")
    .description("make one, and print it this once")
    .option("--role <role>", `what it may do: ${ROLE_WORDS.join(", ")} (viewer)`, parseRole, Role.VIEWER)
    .option("--valid-for <duration>", "as in 12h or 90d", parseDuration, NINETY_DAYS_S)
    .action((label: string, options: ApiOptions) => createApi(tool, label, options));
  group
    .command("list")
    .description("all of them, newest first")
    .action(() => listApi(tool));
  group
    .command("revoke <id>")
    .description("let nothing in by it any longer")
    .action(async (word: string) => {
      const server = await tool.connect();
      const { id, label } = findOne(await readApiTokens(server), word, "API token");
      const answer = await server.account.revokeApiToken({ apiTokenId: id });
      show(tool, RevokeApiTokenResponseSchema, answer, () =>
        tool.terminal.print(printable(`Revoked API token ${label}.`)),
      );
    });
}

async function createApi(tool: Tool, label: string, { role, validFor }: ApiOptions): Promise<void> {
  const { account } = await tool.connect();
  const answer = await account.createApiToken({ label, role, validForSeconds: validFor });
  show(tool, CreateApiTokenResponseSchema, answer, () => {
    tool.terminal.print(printable(answer.secret));
    tool.terminal.say(`It is shown this once, and counts until ${moment(answer.apiToken?.expiresAt)}.`);
  });
}

async function listApi(tool: Tool): Promise<void> {
  const apiTokens = await readApiTokens(await tool.connect());
  show(tool, ListApiTokensResponseSchema, create(ListApiTokensResponseSchema, { apiTokens }), () => {
    const rows = apiTokens.map((token) => [
      shortId(token.id),
      roleWord(token.role),
      token.revokedAt === undefined ? untilWhen(tool, token.expiresAt) : "revoked",
      ago(tool, token.lastUsedAt),
      token.createdBy,
      token.label,
    ]);
    printTable(tool.terminal, ["ID", "ROLE", "ENDS", "LAST USED", "MADE BY", "FOR"], rows, "There are no API tokens.");
  });
}

function readApiTokens({ account }: Server): Promise<ApiToken[]> {
  return listAll(async (page) => {
    const { apiTokens, nextPageToken } = await account.listApiTokens(page);
    return { items: apiTokens, nextPageToken };
  });
}
