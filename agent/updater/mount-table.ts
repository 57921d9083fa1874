/** One mounted file system. */
export interface Mount {
  readonly mountPoint: string;
  readonly options: ReadonlySet<string>;
}

/**
 * The mount that holds `path`: the deepest one above it, and of several on one point the newest.
 *
 * *Source*: proc(5), `/proc/[pid]/mountinfo`. *Shape*: `undefined` when the table names none.
 */
export function findMount(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split("\n")) {
    const [, , , , point, options] = line.split(" ");
    if (point === undefined || options === undefined) continue;
    const mountPoint = unescapeOctal(point);
    if (!isWithin(path, mountPoint) || mountPoint.length < (found?.mountPoint.length ?? 0)) continue;
    found = { mountPoint, options: new Set(options.split(",")) };
  }
  return found;
}

/** Blanks and backslashes stand as `\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function isWithin(path: string, folder: string): boolean {
  return folder === "/" || path === folder || path.startsWith(`${folder}/`);
}
