/**
 * Why this machine can't run the project, in one sentence; `undefined` when it can.
 *
 * The embedded PostgreSQL and the agent's base binary exist for Linux x64 with glibc.
 */
export function findUnsupported(machine = thisMachine()) {
  const { platform, arch, glibcVersion, nodeVersion } = machine;
  if (platform !== "linux" || arch !== "x64" || glibcVersion === undefined) {
    const libc = platform === "linux" && glibcVersion === undefined ? " without glibc" : "";
    return `Rollcall's demo and tests run on Linux x64 with glibc; this is ${platform} ${arch}${libc}.`;
  }
  if (Number.parseInt(nodeVersion, 10) < 20) {
    return `Rollcall's scripts need Node 20 or newer to start; this is Node ${nodeVersion}.`;
  }
  return undefined;
}

function thisMachine() {
  return {
    platform: process.platform,
    arch: process.arch,
    glibcVersion: process.report.getReport().header.glibcVersionRuntime,
    nodeVersion: process.versions.node,
  };
}
