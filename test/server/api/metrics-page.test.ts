import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { addApiToken } from "../../support/account-fixture.ts";
import { startControlPlane, type ControlPlane } from "../../support/control-plane.ts";
import { openResources } from "../stream/open-resources.ts";

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
});
afterAll(async () => {
  await plane[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(openResources()).toEqual([]));
});

async function ask(headers: Record<string, string>, method = "GET", path = "/metrics") {
  const response = await fetch(plane.web + path, { method, headers: { connection: "close", ...headers } });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("/metrics", () => {
  test("is for an API token of any role", async () => {
    for (const role of ["viewer", "operator", "admin"] as const) {
      const { secret } = await addApiToken(plane.database, role);
      const answer = await ask(bearer(secret));
      expect([role, answer.status]).toEqual([role, 200]);
      expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.text).toMatch(/^# HELP rollcall_agent_streams .*\n# TYPE rollcall_agent_streams gauge$/m);
    }
  });

  test("is for nobody else, on loopback neither, and is told why", async () => {
    const { token } = await plane.fleet.createEnrollmentToken({ label: "no reader" });
    const refusals: readonly (readonly [Record<string, string>, number, string])[] = [
      [{}, 401, "Send an API token"],
      [bearer("rc_api_nobody"), 401, "The token is not valid."],
      [bearer(token), 401, "The token is not valid."],
      [{ authorization: "Basic YTpi" }, 401, "The token is not valid."],
      [{ ...bearer(plane.adminToken), origin: "https://evil.example" }, 403, "A page of another site"],
    ];
    for (const [headers, status, sentence] of refusals) {
      const answer = await ask(headers);
      expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(sentence)]);
      expect(answer.text).not.toContain("rollcall_");
    }
  });

  test("is read only, and there is nothing below it", async () => {
    const headers = bearer(plane.adminToken);
    const post = await ask(headers, "POST");
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    const head = await ask(headers, "HEAD");
    expect([head.status, head.text, Number(head.headers.get("content-length")) > 1_000]).toEqual([200, "", true]);
    expect((await ask(headers, "GET", "/metrics/hosts")).text).not.toContain("rollcall_agent_streams");
  });

  test("is served over HTTP/2 too", async () => {
    const session = connectHttp2(plane.web);
    const stream = session.request({ ":path": "/metrics", ...bearer(plane.adminToken) });
    stream.setEncoding("utf8");
    let text = "";
    stream.on("data", (chunk: string) => (text += chunk));
    await once(stream, "end");
    expect(text).toContain("rollcall_agent_streams 0");
    session.close();
    await once(session, "close");
  });

  test("takes no token that crossed a network in the clear", async () => {
    await using proxied = await startControlPlane({}, undefined, { ROLLCALL_TRUST_PROXY: "127.0.0.1" });
    const answer = await fetch(`${proxied.web}/metrics`, {
      headers: { ...bearer(proxied.adminToken), "x-forwarded-proto": "http", connection: "close" },
    });
    expect([answer.status, await answer.text()]).toEqual([403, "tokens may cross a network under TLS only\n"]);
  });
});
