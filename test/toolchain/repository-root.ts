import { dirname } from "node:path";

/** The folder of package.json. */
export const repositoryRoot = dirname(dirname(import.meta.dirname));
