import { parseArgs } from "node:util";

/** What `npm run demo -- …` was asked for. */
export interface DemoOptions {
  readonly hosts: number;
  /** Update every host, report and end, instead of staying up. */
  readonly auto: boolean;
}

const MAX_HOSTS = 50;

/** *Throws* Error with a sentence for people when an argument is wrong. */
export function parseDemoOptions(programArguments: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...programArguments],
    options: { hosts: { type: "string", default: "3" }, auto: { type: "boolean", default: false } },
  });
  const hosts = /^\d{1,4}$/.test(values.hosts) ? Number(values.hosts) : 0;
  if (hosts < 1 || hosts > MAX_HOSTS)
    throw new Error(`--hosts takes a number from 1 to ${MAX_HOSTS}, not ${values.hosts}`);
  return { hosts, auto: values.auto };
}
