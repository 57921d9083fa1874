/**
 * What names and passwords may be. Length is what makes a password hard to guess;
 * rules about kinds of characters only make it hard to remember.
 *
 * *Source*: NIST SP 800-63B, section 3.1.1.
 */
import { InvalidFieldError } from "../domain/errors.ts";

const MIN_CHARACTERS = 12;
const MIN_DISTINCT_CHARACTERS = 5;
/** Names that stand in the audit log for somebody else. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(["rollcall", "host", "anonymous", "admin-token"]);

/** One spelling for what looks the same on every keyboard. */
export function normalizePassword(password: string): string {
  return password.normalize("NFC");
}

/** *Throws* InvalidFieldError that names `field` when this may not be somebody's password. */
export function checkPassword(field: string, password: string, username: string): void {
  const characters = Array.from(normalizePassword(password));
  if (characters.length < MIN_CHARACTERS)
    throw new InvalidFieldError(field, `must have at least ${MIN_CHARACTERS} characters`);
  if (new Set(characters).size < MIN_DISTINCT_CHARACTERS)
    throw new InvalidFieldError(field, `must have at least ${MIN_DISTINCT_CHARACTERS} different characters`);
  if (username.length >= 4 && password.toLowerCase().includes(username.toLowerCase()))
    throw new InvalidFieldError(field, "must not hold the user's name");
}

/** *Throws* InvalidFieldError when nobody may go by this name. */
export function checkUsername(username: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(username)) {
    throw new InvalidFieldError(
      "username",
      "must begin with a letter or digit, then letters, digits, '.', '_' and '-', 64 in all at most",
    );
  }
  if (RESERVED_NAMES.has(username.toLowerCase())) throw new InvalidFieldError("username", "is reserved");
}
