/** /metrics for Prometheus. */
import type { Registry } from 'prom-client';

import type { Address } from './address.js';
import { type Listener, servePages } from './http-listener.js';

/**
 * Serves what `registry` holds at the time of asking.
 *
 * @throws Error when the address cannot be bound.
 */
export const serveMetrics = (address: Address, registry: Registry): Promise<Listener> =>
  servePages(address, {
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  });
