import { ConnectError } from "@connectrpc/connect";
import { RefusalSchema, type Refusal } from "../../gen/rollcall/v1/model_pb.js";

/** Why a call was refused; `undefined` when it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal | undefined> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  return error?.findDetails(RefusalSchema)[0];
}
