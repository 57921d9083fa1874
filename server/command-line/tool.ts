/** What every command works with. */
import { toJsonString, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Clock } from "../domain/clock.ts";
import type { Server } from "./connect.ts";
import type { Terminal } from "./terminal.ts";

/** The process, as commands see it. */
export interface Tool {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** This program's own. */
  readonly version: string;
  /** Aborts at Ctrl-C. */
  readonly interrupted: AbortSignal;
  /** True when a program reads the results. */
  readonly isJson: () => boolean;
  /** Asks a person. *Throws* CommandError where nobody is there to ask. */
  readonly ask: (question: string, options?: { readonly isSecret?: boolean }) => Promise<string>;
  /** All of standard input. */
  readonly readStdin: () => Promise<string>;
  /** The server that is signed in to. *Throws* CommandError when there is none. */
  readonly connect: () => Promise<Server>;
}

/** Shows an answer of the server: to programs as its JSON, whole and on one line; to people by `tell`. */
export function show<Schema extends DescMessage>(
  tool: Tool,
  schema: Schema,
  message: MessageShape<Schema>,
  tell: () => void,
): void {
  if (tool.isJson()) tool.terminal.print(toJson(schema, message));
  else tell();
}

/** The JSON of the server's API, with every field. */
export function toJson<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): string {
  return toJsonString(schema, message, { alwaysEmitImplicit: true });
}
