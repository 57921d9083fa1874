import { randomBytes } from "node:crypto";

/** Bytes that nobody can guess, from the running machine: the only file of the publisher's tools that asks for them. */
export const systemRandomBytes = (count: number): Buffer => randomBytes(count);
