/** Sockets, servers and files that this process still holds. Part of each file's leak check. */
const KINDS = ["TCPServerWrap", "TCPSocketWrap", "TLSWrap", "FSReqPromise", "FSReqCallback"];

export function openResources(): readonly string[] {
  return process.getActiveResourcesInfo().filter((kind) => KINDS.includes(kind));
}
