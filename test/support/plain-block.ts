import { zstdDecompressSync } from "node:zlib";
import { BlockEncoding, type FetchBlocksResponse } from "../../gen/rollcall/v1/agent_pb.js";

/** The bytes of a block as they stand in the artifact. *Throws* Error for an encoding that is none. */
export function plainBlock({ encoding, data }: Pick<FetchBlocksResponse, "encoding" | "data">): Buffer {
  if (encoding === BlockEncoding.IDENTITY) return Buffer.from(data);
  if (encoding === BlockEncoding.ZSTD) return zstdDecompressSync(data);
  throw new Error(`a block in the encoding ${encoding}`);
}
