/** What is run on a machine to make it a host. */

/** What the command is made of. */
export interface InstallOrder {
  /** The name under which this page reached the server. */
  readonly hostname: string;
  readonly token: string;
}

/** *Units*: TCP port on which agents are listened for unless somebody chose another. */
const AGENT_PORT = 7171;

/** The line to paste. The token goes by the environment: every user of a machine can read arguments. */
export function installCommand({ hostname, token }: InstallOrder): string {
  return `ROLLCALL_TOKEN=${token} rollcall-agent enroll --server ${hostname}:${AGENT_PORT} --ca-file ca.crt`;
}
