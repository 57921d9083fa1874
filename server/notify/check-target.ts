/** Whether a channel can lead where somebody wants it to. Names are resolved when something is sent, not here. */
import { InvalidFieldError } from "../domain/errors.ts";
import type { ChannelTarget } from "../domain/notification.ts";
import { isWebhookSecret } from "./webhook.ts";

/**
 * Checks target and secret. `mayKeepSecret` when an empty secret means the one there is.
 *
 * *Throws* InvalidFieldError.
 */
export function checkTarget(target: ChannelTarget, secret: string, mayKeepSecret: boolean): void {
  switch (target.kind) {
    case "webhook":
      readUrl("target.webhook.url", target.url, ["https:", "http:"]);
      if (secret !== "" && !isWebhookSecret(secret))
        throw new InvalidFieldError("secret", "a webhook's secret is whsec_ and at least 24 bytes in base64");
      return;
    case "ntfy": {
      const url = readUrl("target.ntfy.url", target.url, ["https:", "http:"]);
      if (!/\/[-_A-Za-z0-9]{1,64}$/.test(url.pathname) || url.search !== "")
        throw new InvalidFieldError("target.ntfy.url", "must end in a topic, such as https://ntfy.example.org/topic");
      return;
    }
    case "mail": {
      const url = readUrl("target.mail.server", target.server, ["smtps:", "smtp:"]);
      if (url.pathname.length > 1 || url.search !== "")
        throw new InvalidFieldError("target.mail.server", "is a name and a port, such as smtps://mail.example.org:465");
      checkAddress("target.mail.from", target.from);
      if (target.to.length === 0) throw new InvalidFieldError("target.mail.to", "names nobody");
      for (const [index, each] of target.to.entries()) checkAddress(`target.mail.to[${index}]`, each);
      if (target.username !== "" && secret === "" && !mayKeepSecret)
        throw new InvalidFieldError("secret", "the password of target.mail.username is required");
    }
  }
}

function readUrl(field: string, text: string, protocols: readonly string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !protocols.includes(url.protocol) || url.hostname === "")
    throw new InvalidFieldError(field, `must be a URL that begins with ${protocols[0]}//`);
  // It would be shown to whoever may see the channel.
  if (url.username !== "" || url.password !== "")
    throw new InvalidFieldError(field, "may hold no user name and password");
  if (url.hash !== "") throw new InvalidFieldError(field, "may have no part after #");
  return url;
}

function checkAddress(field: string, text: string): void {
  if (!/^[^\s@<>,;:"()[\]\\]{1,64}@[A-Za-z0-9.-]{1,189}$/.test(text))
    throw new InvalidFieldError(field, "must be an address, such as ops@example.org");
}
