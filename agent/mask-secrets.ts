const SECRETS: readonly (readonly [RegExp, string])[] = [
  // Tokens and credentials of Rollcall, by their prefixes.
  [/\brc_[a-z]+_[A-Za-z0-9_-]+/g, "rc_***"],
  [/\b(bearer|basic)\s+[^\s"']+/gi, "$1 ***"],
  // In one line of JSON as well, where line ends are escaped.
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, "(private key)"],
  // User and password of a proxy.
  [/:\/\/[^\s/@"']+@/g, "://***@"],
];

/** The same text without what looks like a token, a credential, a password in an address or a private key. */
export function maskSecrets(text: string): string {
  return SECRETS.reduce((masked, [pattern, stars]) => masked.replace(pattern, stars), text);
}
