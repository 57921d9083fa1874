import { findMissingPackages, formatInstallLine, SYSTEM_PACKAGES } from "../toolchain/system-packages.ts";

/** *Shape*: `undefined` when the programs of these Debian packages are there, else one line that says what to run. */
export function explainMissingTools(...packages: readonly string[]): string | undefined {
  const unknown = packages.find((name) => !SYSTEM_PACKAGES.some((known) => known.name === name));
  if (unknown !== undefined) throw new Error(`${unknown} is not among the packages that tests may ask for`);
  const missing = findMissingPackages(SYSTEM_PACKAGES.filter(({ name }) => packages.includes(name)));
  return missing.length === 0 ? undefined : `${missing.join(", ")} missing; run: ${formatInstallLine(missing)}`;
}
