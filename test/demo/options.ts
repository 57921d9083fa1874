import { parseArgs } from "node:util";

/** What `npm run demo -- …` was asked for. */
export interface DemoOptions {
  readonly hosts: number;
  /** Update every host, report and end, instead of staying up. */
  readonly auto: boolean;
  /** Number of the host, from 1, whose agent wants more free space than any disk has. */
  readonly breakHost: number | undefined;
  /** Number of the host, from 1, whose new agent dies after the commit. */
  readonly breakAfterHost: number | undefined;
}

const MAX_HOSTS = 50;

/** *Throws* Error with a sentence for people when an argument is wrong. */
export function parseDemoOptions(programArguments: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...programArguments],
    options: {
      hosts: { type: "string", default: "3" },
      auto: { type: "boolean", default: false },
      break: { type: "string" },
      "break-after": { type: "string" },
    },
  });
  const hosts = /^\d{1,4}$/.test(values.hosts) ? Number(values.hosts) : 0;
  if (hosts < 1 || hosts > MAX_HOSTS)
    throw new Error(`--hosts takes a number from 1 to ${MAX_HOSTS}, not ${values.hosts}`);
  return {
    hosts,
    auto: values.auto,
    breakHost: parseHostNumber("--break", values.break, hosts),
    breakAfterHost: parseHostNumber("--break-after", values["break-after"], hosts),
  };
}

function parseHostNumber(flag: string, text: string | undefined, hosts: number): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > hosts)
    throw new Error(`${flag} takes the number of a host, from 1 to ${hosts}, not ${text}`);
  return number;
}
