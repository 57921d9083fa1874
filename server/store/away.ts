import { UnavailableError } from "../domain/errors.ts";
import { isDatabaseAway } from "./database-away.ts";

/**
 * Waits for a question to the database.
 *
 * *Throws* UnavailableError when the database is away, whatever the driver called it.
 */
export async function answered<Result>(question: Promise<Result>): Promise<Result> {
  try {
    return await question;
  } catch (error) {
    if (isDatabaseAway(error)) {
      throw new UnavailableError(
        "The database is away. Whether the change was made is not known; look before you ask again.",
        error,
      );
    }
    throw error;
  }
}
