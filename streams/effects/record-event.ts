/** One Kubernetes Event about a Run or Runtime. */
import type { EventNote } from '../../src/model/command.js';
import { events, GROUP, VERSION } from '../../src/model/resources.js';
import { formatSeconds } from '../../src/model/time.js';
import type { Effect, KubePort } from '../../src/ports.js';

/** The call that records it. The name carries chance, as client-go's carries the time. */
export const recordEvent = (
  kube: KubePort,
  { regarding, type, reason, message, at }: EventNote,
  identity: string,
  random: () => number,
): Effect<unknown> => {
  const time = formatSeconds(at);
  const suffix = Math.floor(random() * 2 ** 48)
    .toString(16)
    .padStart(12, '0');
  return kube.create(events, regarding.namespace, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${regarding.name.slice(0, 240)}.${suffix}`, namespace: regarding.namespace },
    involvedObject: { apiVersion: `${GROUP}/${VERSION}`, ...regarding },
    type,
    reason,
    message,
    source: { component: 'kruntimes-controller' },
    reportingComponent: 'kruntimes-controller',
    reportingInstance: identity,
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  });
};
