import type { Migration } from "kysely/migration";
import * as initial from "./0001-initial.ts";

/** Every migration by its number. Forward only; none is edited once it has landed. */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001-initial": initial,
};
