import type { Clock } from "../domain/clock.ts";
import { loadCertificates, type CertificateOptions } from "./certificate-files.ts";
import type { CertificatePair } from "./certificate-authority.ts";
import type { StreamLog } from "./ports.ts";

const CHECK_EVERY_MS = 12 * 3_600_000;

/**
 * Looks at the certificate twice a day and hands over what was reissued or put
 * in its place, so that no server has to be restarted to be trusted.
 */
export function renewCertificates(
  options: CertificateOptions & { readonly clock: Clock },
  current: CertificatePair,
  log: StreamLog,
  serve: (renewed: CertificatePair) => void,
): Disposable {
  let served = current;
  let isDisposed = false;
  const check = async (): Promise<void> => {
    const found = await loadCertificates(options);
    if (isDisposed || found.certPem === served.certPem) return;
    served = found;
    serve(found);
  };
  const tick = (): void => {
    check()
      .catch((error: unknown) => log.unexpected("certificate renewal", error))
      .finally(() => {
        if (!isDisposed) timer = options.clock.schedule(CHECK_EVERY_MS, tick);
      });
  };
  let timer = options.clock.schedule(CHECK_EVERY_MS, tick);
  return {
    [Symbol.dispose](): void {
      isDisposed = true;
      timer[Symbol.dispose]();
    },
  };
}
