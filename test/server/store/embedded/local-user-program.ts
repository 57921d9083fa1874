/**
 * Tries a cluster's socket as another user of this machine. Takes the user's id and
 * the socket's folder; prints how that went, in one line.
 */
import pg from "pg";

const [userId, socketDir] = process.argv.slice(2);
process.setgroups?.([]);
process.setgid?.(Number(userId));
process.setuid?.(Number(userId));

const client = new pg.Client({
  host: String(socketDir),
  port: 5432,
  user: "rollcall_app",
  database: "rollcall",
  ssl: false,
});
client.on("error", () => undefined);
try {
  await client.connect();
  process.stdout.write("let in\n");
} catch (error) {
  process.stdout.write(`${error instanceof Error && "code" in error ? String(error.code) : String(error)}\n`);
} finally {
  await client.end().catch(() => undefined);
}
