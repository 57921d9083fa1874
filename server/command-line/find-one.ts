/** What a person means by a word: an id, the beginning of one, or a name. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { LabelWords } from "../../gen/labels.ts";
import type { Host } from "../../gen/rollcall/v1/model_pb.js";
import { CommandError } from "./command-error.ts";
import type { Server } from "./connect.ts";
import { EXIT } from "./exit-status.ts";
import { listAll } from "./pages.ts";

const ID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** As much of an id as lists show. */
const SHORT_ID_LENGTH = 8;

/** An id as lists show it. */
export function shortId(id: string): string {
  return id.slice(0, SHORT_ID_LENGTH);
}

/** The one item that `word` means. *Throws* CommandError when none or several are meant. */
export function findOne<Item extends { readonly id: string }>(
  items: readonly Item[],
  word: string,
  what: string,
  nameOf: (item: Item) => string = () => "",
): Item {
  const exact = items.filter((item) => item.id === word || nameOf(item) === word);
  const found = exact.length > 0 ? exact : items.filter(({ id }) => isBeginning(word) && id.startsWith(word));
  const [one, ...others] = found;
  if (one === undefined) throw new CommandError(`There is no ${what} ${word}.`, EXIT.failed);
  if (others.length === 0) return one;
  const ids = found.map(({ id }) => id).join(", ");
  throw new CommandError(`${word} is said of ${found.length}: ${ids}. Name one by its id.`, EXIT.usage);
}

/** The host of this name or id. *Throws* CommandError when there is none, or several have the name. */
export async function findHost({ fleet }: Server, word: string): Promise<Host> {
  if (ID_PATTERN.test(word)) {
    try {
      const { host } = await fleet.getHost({ hostId: word });
      if (host !== undefined) return host;
    } catch (error) {
      if (ConnectError.from(error).code !== Code.NotFound) throw error;
    }
    throw new CommandError(`There is no host ${word}.`, EXIT.failed, { reason: "host_unknown" });
  }
  return findOne(await listHosts(fleet), word, "host", ({ hostname }) => hostname);
}

/** Every host that has all of these labels, by name. */
export function listHosts(
  fleet: Server["fleet"],
  { labels = [], limit }: { readonly labels?: readonly LabelWords[]; readonly limit?: number | undefined } = {},
): Promise<Host[]> {
  return listAll(async (page) => {
    const { hosts, nextPageToken } = await fleet.listHosts({ ...page, labels: [...labels] });
    return { items: hosts, nextPageToken };
  }, limit);
}

function isBeginning(word: string): boolean {
  return word.length >= SHORT_ID_LENGTH && /^[0-9a-f-]+$/.test(word);
}
