/** `enroll`: trades a one-time token for this host's identity and stores it. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { status, type Client } from "@grpc/grpc-js";
import { grpcMethod } from "../gen/grpc.ts";
import { formatLabel, splitLabel, type LabelWords } from "../gen/labels.ts";
import {
  AgentService,
  EnrollRequestSchema,
  type EnrollRequest,
  type EnrollResponse,
} from "../gen/rollcall/v1/agent_pb.js";
import { LabelSchema } from "../gen/rollcall/v1/model_pb.js";
import { findViolation } from "../gen/rules.ts";
import type { Clock } from "./clock.ts";
import type { Command, TokenSource } from "./command-line.ts";
import { isServerAddress, type AgentConfig } from "./config.ts";
import { hasConfig, loadCertificates, loadConfig, loadRoots, writeConfig } from "./config-file.ts";
import { readHostFacts } from "./host-facts.ts";
import { hasIdentity, identityPath, prepareStateDir, storeIdentity } from "./identity.ts";
import { describeError } from "./log.ts";
import { OperatorError } from "./operator-error.ts";
import { chooseProxy } from "./proxy/choose-proxy.ts";
import { openChannel } from "./stream/channel.ts";
import { describeFailure, failureText, type CallFailure } from "./stream/failure.ts";

const ENROLL = grpcMethod(AgentService.method.enroll);
/** A server that is busy with many hosts takes its time; one that keeps silent is not waited for for ever. */
const ENROLL_LIMIT_MS = 30_000;
const TOKEN_PATTERN = /^[\x21-\x7e]{1,256}$/;

/**
 * Enrols this host. Everything that can be checked is checked before the token is spent.
 *
 * *Shape*: the id of the host.
 *
 * *Throws* OperatorError that says what is in the way.
 */
export async function enroll(command: Command & { kind: "enroll" }, clock: Clock): Promise<string> {
  const { configPath, stateDir } = command;
  if (!command.force && (await hasIdentity(stateDir))) {
    throw new OperatorError(`this host is enrolled already (${identityPath(stateDir)}); --force replaces its identity`);
  }
  const labels = readLabels(command.labels);
  const token = await readToken(command.tokenSource);
  const config = await prepareConfig(command);
  const roots = await loadRoots(config, configPath);
  await prepareStateDir(stateDir);
  const request = create(EnrollRequestSchema, { token, ...readHostFacts(config.hostname), labels });
  const { hostId, credential } = await askServers(config, roots, request, clock);
  await storeIdentity(stateDir, { hostId, credential });
  return hostId;
}

/** *Throws* OperatorError that names the label at fault. */
function readLabels(texts: readonly string[]): LabelWords[] {
  const labels = texts.map((text) => {
    const label = splitLabel(text);
    if (label === undefined) throw badLabel(text, "it must be KEY=VALUE");
    const violation = findViolation(LabelSchema, create(LabelSchema, label));
    if (violation !== undefined) throw badLabel(text, `its ${violation.field} ${violation.problem}`);
    return label;
  });
  const twice = labels.find(({ key }, index) => labels.findIndex((other) => other.key === key) !== index);
  if (twice !== undefined) throw badLabel(formatLabel(twice), `the key ${twice.key} is given twice`);
  return labels;
}

function badLabel(text: string, problem: string): OperatorError {
  return new OperatorError(`--label ${JSON.stringify(text)}: ${problem}`, { exitStatus: 2 });
}

async function readToken(source: TokenSource): Promise<string> {
  const token = (await readTokenText(source)).trim();
  if (TOKEN_PATTERN.test(token)) return token;
  if (token === "")
    throw new OperatorError("there is no token: set ROLLCALL_TOKEN, or use --token-file or --token-stdin");
  throw new OperatorError("the token is not one: 1 to 256 printable characters without spaces are expected");
}

async function readTokenText(source: TokenSource): Promise<string> {
  if (source.kind === "environment") return process.env["ROLLCALL_TOKEN"] ?? "";
  if (source.kind === "stdin") return text(process.stdin);
  try {
    return await readFile(source.path, "utf8");
  } catch (error) {
    throw new OperatorError(`cannot read the token: ${describeError(error)}`, { cause: error });
  }
}

/** The configuration that stands, or a new one from the flags. One that stands is never changed. */
async function prepareConfig(command: Command & { kind: "enroll" }): Promise<AgentConfig> {
  const { configPath, servers, caFile } = command;
  const isAsked = servers.length > 0 || caFile !== undefined;
  if (!(await hasConfig(configPath))) {
    if (servers.length === 0 || caFile === undefined) {
      throw new OperatorError(
        `there is no configuration (${configPath}); --server HOST:PORT and --ca-file FILE write one`,
      );
    }
    const bad = servers.find((server) => !isServerAddress(server));
    if (bad !== undefined)
      throw new OperatorError(`--server ${JSON.stringify(bad)} must be HOST:PORT`, { exitStatus: 2 });
    const caPem = (await loadCertificates(caFile)).toString();
    await writeConfig(configPath, servers, caPem);
    return loadConfig(configPath);
  }
  const config = await loadConfig(configPath);
  if (isAsked && !(await saysTheSame(config, command))) {
    throw new OperatorError(
      `${configPath} exists and says otherwise; leave out --server and --ca-file, or remove it first`,
    );
  }
  return config;
}

async function saysTheSame(config: AgentConfig, command: Command & { kind: "enroll" }): Promise<boolean> {
  const { servers, caFile } = command;
  if (servers.length > 0 && servers.join() !== config.servers.join()) return false;
  if (caFile === undefined) return true;
  return (await loadCertificates(caFile)).equals(await loadRoots(config, command.configPath));
}

async function askServers(
  config: AgentConfig,
  roots: Buffer,
  request: EnrollRequest,
  clock: Clock,
): Promise<EnrollResponse> {
  const problems: string[] = [];
  for (const server of config.servers) {
    const client = openChannel(server, roots, chooseProxy(config, server));
    try {
      const answer = await callEnroll(client, request, clock);
      if (answer.kind === "enrolled") return answer.response;
      if (answer.kind === "silent") {
        problems.push(`${server}: no answer within ${ENROLL_LIMIT_MS / 1000} s`);
        continue;
      }
      problems.push(`${server}: ${failureText(answer.failure)}`);
      // Any other answer is the fleet's, not this server's.
      if (answer.failure.code !== status.UNAVAILABLE) break;
    } finally {
      client.close();
    }
  }
  throw new OperatorError(`this host was not enrolled; ${problems.join("; ")}`);
}

type Answer =
  | { readonly kind: "enrolled"; readonly response: EnrollResponse }
  | { readonly kind: "failed"; readonly failure: CallFailure }
  | { readonly kind: "silent" };

function callEnroll(client: Client, request: EnrollRequest, clock: Clock): Promise<Answer> {
  const finished = new AbortController();
  const { path, requestSerialize, responseDeserialize } = ENROLL;
  return new Promise((resolve) => {
    const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) => {
      finished.abort();
      if (response === undefined) resolve({ kind: "failed", failure: describeFailure(error) });
      else resolve({ kind: "enrolled", response });
    });
    clock.sleep(ENROLL_LIMIT_MS, finished.signal).then(
      () => {
        resolve({ kind: "silent" });
        call.cancel();
      },
      () => undefined,
    );
  });
}
