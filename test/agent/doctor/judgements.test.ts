import { expect, test } from "vitest";
import { judgeSelinux } from "../../../agent/doctor/check-selinux.ts";
import { judgeService } from "../../../agent/doctor/check-services.ts";
import { judgeRevision } from "../../../agent/doctor/examine-host.ts";

test.each([
  [undefined, "", "ok"],
  [true, "system_u:object_r:bin_t:s0", "ok"],
  [true, "unconfined_u:object_r:user_home_t:s0", "fail"],
  [false, "unconfined_u:object_r:user_home_t:s0", "warn"],
] as const)("SELinux, enforcing: %s, with a folder labelled %j is %s", (isEnforcing, context, verdict) => {
  expect(judgeSelinux(isEnforcing, context, "/opt/rollcall/bin").verdict).toBe(verdict);
});

test.each([
  [0, 2, "warn"],
  [1, 2, "fail"],
  [2, 2, "ok"],
  [3, 2, "ok"],
  [1, undefined, "ok"],
] as const)("install revision %s where the build goes with %s is %s", (installed, own, verdict) => {
  expect(judgeRevision(installed, own).verdict).toBe(verdict);
});

test("a service that is not active is named with what is lost", () => {
  expect(judgeService("rollcall-agent.service", "active", "").verdict).toBe("ok");
  expect(judgeService("rollcall-agent.service", "failed", "It does not report.")).toMatchObject({
    verdict: "fail",
    found: "It is failed. It does not report.",
  });
});
