import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { findViolation } from "../../gen/rules.ts";
import { InvalidFieldError } from "../domain/errors.ts";

/** *Throws* InvalidFieldError for the first field of `message` that breaks its rule. */
export function checkMessage<D extends DescMessage>(schema: D, message: MessageShape<D>): void {
  const violation = findViolation(schema, message);
  if (violation !== undefined) throw new InvalidFieldError(violation.field, violation.problem);
}
