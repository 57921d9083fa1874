import type { ControlPlane } from "../../support/control-plane.ts";

/** One page of numbers: each series by its name with labels, as written. */
export type Series = ReadonlyMap<string, number>;

/** Asks a server for its numbers, as Prometheus does. */
export async function scrape(plane: Pick<ControlPlane, "web" | "adminToken">): Promise<Series> {
  const response = await fetch(`${plane.web}/metrics`, {
    headers: { authorization: `Bearer ${plane.adminToken}`, connection: "close" },
  });
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return readSeries(await response.text());
}

/** *Throws* Error for a line that is neither a comment nor a series with a value. */
export function readSeries(page: string): Series {
  const lines = page.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const [, name, value] = /^(\S+?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new Error(`no series: ${line}`);
      return [name, value === "Nan" ? Number.NaN : Number(value)];
    }),
  );
}

/** A series without its labels. */
export function nameOf(series: string): string {
  return series.replace(/\{.*$/, "");
}
