/** The middle of an odd number of measurements, the upper middle of an even number. *Throws* Error on an empty list. */
export function median(values: readonly number[]): number {
  const middle = values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)];
  if (middle === undefined) throw new Error("nothing was measured");
  return middle;
}
