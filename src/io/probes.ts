/** /healthz and /readyz for the kubelet. */
import type { Address } from './address.js';
import { type Listener, type Page, servePages } from './http-listener.js';

/** Each says why not, or undefined where all is well. Asked on each probe, so they only look. */
export type Checks = Readonly<{
  /** Should the process be restarted? */
  whyUnhealthy: () => string | undefined;
  /** Should work be sent to it? */
  whyUnready: () => string | undefined;
}>;

const pageOf =
  (why: () => string | undefined): Page =>
  () => {
    const reason = why();
    return Promise.resolve({
      status: reason === undefined ? 200 : 503,
      type: 'text/plain; charset=utf-8',
      body: `${reason ?? 'ok'}\n`,
    });
  };

/**
 * Answers 200 `ok`, or 503 with the reason.
 *
 * @throws Error when the address cannot be bound.
 */
export const serveProbes = (address: Address, { whyUnhealthy, whyUnready }: Checks): Promise<Listener> =>
  servePages(address, { '/healthz': pageOf(whyUnhealthy), '/readyz': pageOf(whyUnready) });
