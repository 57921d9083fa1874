import type { ServerProcess } from "./server-process.ts";

/** What to open or call while the demo stays up. Secrets are read from their files, so that they are not on the screen. */
export function formatGuide(
  server: Pick<ServerProcess, "web" | "adminTokenFile" | "setupLinkFile">,
  hostId: string,
): string {
  const call = (method: string, body: string): string =>
    `  curl -sS ${server.web}/rollcall.v1.FleetService/${method} \\\n` +
    `    -H "authorization: Bearer $(cat ${server.adminTokenFile})" \\\n` +
    `    -H 'content-type: application/json' -d '${body}'\n`;
  return [
    `The server answers at ${server.web} until Ctrl-C.`,
    "",
    "To see the dashboard, open the link in this file and become the first admin:",
    `  ${server.setupLinkFile}`,
    "",
    "List the hosts:",
    call("ListHosts", "{}"),
    "Update one:",
    call("UpdateHost", JSON.stringify({ hostId })),
    "See how its updates went:",
    call("ListJobs", JSON.stringify({ hostId })),
  ].join("\n");
}
