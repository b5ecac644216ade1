/** The Events of an object, oldest first. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { events } from '../../model/resources.js';
import type { Api } from '../api/api.js';
import { Failure } from '../failure.js';
import { formatAge } from '../output/age.js';
import { section } from '../output/sections.js';

const nullable = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);

const KubeEvent = t.partial({
  type: t.string,
  reason: t.string,
  message: t.string,
  count: nullable(t.number),
  lastTimestamp: nullable(t.string),
  firstTimestamp: nullable(t.string),
  eventTime: nullable(t.string),
  series: nullable(t.partial({ count: t.number, lastObservedTime: t.string })),
});
type KubeEvent = t.TypeOf<typeof KubeEvent>;

const lastMs = ({ series, lastTimestamp, eventTime, firstTimestamp }: KubeEvent): number =>
  Date.parse(series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? firstTimestamp ?? '');

/** A section with the Events of the object with this UID; a line where they may not be read. */
export const eventsSection = async (
  api: Pick<Api, 'list'>,
  object: Readonly<{ namespace: string; name: string; uid: string }>,
  nowMs: number,
): Promise<string> => {
  const fieldSelector = `involvedObject.name=${object.name},involvedObject.uid=${object.uid}`;
  try {
    const { items } = await api.list(events, { namespace: object.namespace, fieldSelector });
    const decoded = items
      .map((item) => KubeEvent.decode(item))
      .flatMap((e) => (E.isRight(e) ? [e.right] : []));
    return section(
      'Events',
      ['AGE', 'TYPE', 'REASON', 'MESSAGE'],
      [...decoded]
        .sort((a, b) => lastMs(a) - lastMs(b))
        .map((event) => {
          const count = event.series?.count ?? event.count ?? 1;
          const age = formatAge(nowMs - lastMs(event));
          return [count > 1 ? `${age} (x${count})` : age, event.type, event.reason, event.message];
        }),
    );
  } catch (error) {
    if (error instanceof Failure) return `\nEvents: ${error.message}\n`;
    throw error;
  }
};
