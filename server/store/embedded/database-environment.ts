/** All that PostgreSQL's programs get to see of the environment: no library paths, no `PG…` variables, no secrets. */
export const DATABASE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/bin:/usr/bin:/bin",
  LC_ALL: "C",
  TZ: "UTC",
};
