/**
 * What this build trusts and goes with, fixed when it was built: nothing that comes later,
 * from a server, a file or the environment, adds to it. A bundler replaces the names.
 */
import { parsePublicKey, type PublicKey } from "../gen/minisign.ts";

/** Second lines of minisign public key files, separated by commas. */
declare const ROLLCALL_BUILD_ROOTS: string | undefined;
/** Decimal digits. */
declare const ROLLCALL_BUILD_SEQUENCE: string | undefined;
declare const ROLLCALL_BUILD_KEYS_SEQUENCE: string | undefined;
declare const ROLLCALL_BUILD_INSTALL_REVISION: string | undefined;

/** Who may say which keys sign releases. *Shape*: none when this agent runs from its sources: it then trusts no release. */
export const OWN_ROOTS: readonly PublicKey[] =
  typeof ROLLCALL_BUILD_ROOTS === "string" ? ROLLCALL_BUILD_ROOTS.split(",").map(parsePublicKey) : [];

/** The sequence of the release that this build is; 0 when it runs from its sources. */
export const OWN_SEQUENCE: number = typeof ROLLCALL_BUILD_SEQUENCE === "string" ? Number(ROLLCALL_BUILD_SEQUENCE) : 0;

/** The sequence of the key set that this build was published under; 0 when that is not known. */
export const OWN_KEYS_SEQUENCE: number =
  typeof ROLLCALL_BUILD_KEYS_SEQUENCE === "string" ? Number(ROLLCALL_BUILD_KEYS_SEQUENCE) : 0;

/** Which unit and guard this build goes with; `undefined` when it runs from its sources. */
export const OWN_INSTALL_REVISION: number | undefined =
  typeof ROLLCALL_BUILD_INSTALL_REVISION === "string" ? Number(ROLLCALL_BUILD_INSTALL_REVISION) : undefined;
