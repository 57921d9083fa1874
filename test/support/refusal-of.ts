import { ConnectError } from "@connectrpc/connect";
import { RefusalSchema, type Refusal } from "../../gen/rollcall/v1/model_pb.js";

/** How a call failed. *Throws* when it did not, or not by an answer. */
export async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  const reason: unknown = await call.then(
    () => new Error("the call succeeded"),
    (error: unknown) => error,
  );
  if (reason instanceof ConnectError) return reason;
  throw reason;
}

/** Why a call was refused; `undefined` when it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal | undefined> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  return error?.findDetails(RefusalSchema)[0];
}
