import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { findViolation } from "../../gen/rules.ts";
import { InvalidFieldError } from "../domain/errors.ts";

/**
 * Checks what an agent says. It may be of a newer build, which knows more values of an enum: a Hello that tells of one
 * must not shut its host out.
 *
 * *Throws* InvalidFieldError for the first field of `message` that breaks its rule.
 */
export function checkMessage<D extends DescMessage>(schema: D, message: MessageShape<D>): void {
  const violation = findViolation(schema, message, "any");
  if (violation !== undefined) throw new InvalidFieldError(violation.field, violation.problem);
}
