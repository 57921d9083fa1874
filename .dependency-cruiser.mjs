/**
 * Who may import whom. The folders of `server` are layers: each knows `domain`,
 * `wire` and `gen`, and its own files; `main.ts` and what it is composed of know
 * every concrete thing. A `ports.ts` is what a folder asks of others, so others may read it.
 */

/** @returns a rule that lets the files of `folder` import those that match one of `allowed`, packages aside */
function layer(folder, allowed, comment) {
  return {
    name: `${folder.replaceAll("/", "-")}-layer`,
    comment,
    severity: "error",
    from: { path: `^${folder}/` },
    to: { path: "^(?:server|agent|web|gen|test)/", pathNot: [`^${folder}/`, ...allowed] },
  };
}

const domain = "^server/domain/";
const wire = "^server/wire/";
const gen = "^gen/";
const ports = "^server/[^/]+/ports\\.ts$";

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    layer("gen", [], "What server, agent and web share knows none of them."),
    layer("server", [gen], "The server meets agent and web in gen only."),
    layer("agent", [gen], "The agent meets the server in gen only."),
    layer("web", [gen], "The dashboard meets the server in gen only."),
    layer("server/domain", [gen], "The rules of jobs and hosts know no database, no stream and no transport."),
    layer("server/wire", [domain, gen], "Translation between the wire's words and the domain's knows nothing else."),
    layer("server/store", [domain, wire, gen, ports], "Queries know the domain, not who asks."),
    layer("server/stream", [domain, wire, gen], "The agent listener knows no job and no database."),
    layer("server/delivery", [domain, wire, gen, ports], "Blocks and their caches know no transport and no database."),
    layer("server/release", [domain, wire, gen, ports], "Reading releases knows no database and no transport."),
    layer("server/identity", [domain, wire, gen, ports], "Credentials and tokens know no transport."),
    layer("server/host", [domain, wire, gen, ports], "What people do to hosts knows no database and no transport."),
    layer("server/account", [domain, wire, gen, ports], "People, sessions and tokens know no transport."),
    layer("server/audit", [domain, wire, gen, ports], "Sealing the audit log knows no database and no transport."),
    layer("server/metrics", [domain, wire, gen, ports], "Numbers know no database and no transport."),
    layer("server/replicas", [domain, wire, gen, ports], "Servers among others know no database and no transport."),
    layer("server/watcher", [domain, wire, gen, ports], "The watcher asks through ports that it declares."),
    layer("server/worker", [domain, wire, gen, ports], "The worker asks through ports that it declares."),
    {
      name: "server-command-line-layer",
      comment: "The command line is a client like any other; its main file alone knows the doctor.",
      severity: "error",
      from: { path: "^server/command-line/", pathNot: "^server/command-line/main\\.ts$" },
      to: { path: "^(?:server|agent|web|test)/", pathNot: ["^server/command-line/", domain] },
    },
    layer("server/api", [domain, wire, gen, ports], "Handlers ask through ports that they declare."),
    {
      name: "agent-without-publisher",
      comment: "What runs on hosts holds no tool of the publisher and none of the build.",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/(?:build|release)/" },
      to: { path: "^agent/(?:build|release)/" },
    },
    {
      name: "no-cycle",
      severity: "error",
      from: { path: "^(?:server|agent|web|gen|test)/" },
      to: { circular: true },
    },
    {
      name: "no-orphan",
      comment: "A file that nobody imports and that starts nothing is left over. A browser loads some as they are.",
      severity: "error",
      from: {
        orphan: true,
        path: "^(?:server|agent|web|gen|test)/",
        pathNot: [
          "\\.test\\.ts$",
          "\\.d\\.m?ts$",
          "(?:^|/)main\\.ts$",
          "^web/public/",
          "^test/bench/web/[a-z-]+-notes\\.js$",
          "^gen/(?:rollcall|grpc)/",
        ],
      },
      to: {},
    },
    {
      name: "no-unresolved",
      severity: "error",
      from: { path: "^(?:server|agent|web|gen|test)/" },
      to: { couldNotResolve: true },
    },
    {
      name: "no-development-package",
      comment: "What runs in production imports what package.json lists as a dependency.",
      severity: "error",
      from: { path: "^(?:server|agent|gen)/", pathNot: "^agent/build/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "no-test-in-product",
      severity: "error",
      from: { pathNot: "^test/" },
      to: { path: "^test/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(?:dist|coverage)/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      extensions: [".ts", ".mjs", ".js", ".d.ts"],
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
