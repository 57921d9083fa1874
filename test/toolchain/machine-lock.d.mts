/** Runs `work` while no other process of this machine holds `name`. */
export function withMachineLock<T>(name: string, work: () => Promise<T>): Promise<T>;
