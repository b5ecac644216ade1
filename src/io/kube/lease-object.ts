/** The Lease object: what we read of one and what we write into it. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { EffectError } from '../../model/effect-error.js';

const LeaseObject = t.intersection([
  t.type({ metadata: t.intersection([t.type({ resourceVersion: t.string }), t.partial({ uid: t.string })]) }),
  t.partial({
    spec: t.partial({
      holderIdentity: t.union([t.string, t.null]),
      leaseDurationSeconds: t.number,
      leaseTransitions: t.number,
    }),
  }),
]);

/** A Lease as seen. `holder` is '' when nobody holds it. */
export type Lease = Readonly<{
  /** Undefined where the server gives none. */
  uid: string | undefined;
  resourceVersion: string;
  holder: string;
  /** How long its holder may go unseen, milliseconds; absent where nothing is said. */
  durationMs: number | undefined;
  transitions: number;
}>;

export const decodeLease = (object: unknown): E.Either<EffectError, Lease> => {
  const decoded = LeaseObject.decode(object);
  if (E.isLeft(decoded))
    return E.left({ kind: 'Unavailable', message: 'the server answered with something other than a Lease' });
  const { metadata, spec = {} } = decoded.right;
  return E.right({
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    holder: spec.holderIdentity ?? '',
    durationMs: spec.leaseDurationSeconds === undefined ? undefined : spec.leaseDurationSeconds * 1000,
    transitions: spec.leaseTransitions ?? 0,
  });
};

/** metav1.MicroTime of an instant in milliseconds since the epoch. */
const microTime = (epochMs: number): string => new Date(epochMs).toISOString().replace('Z', '000Z');

/** What a holder writes into `spec`. */
export type Holding = Readonly<{ identity: string; leaseDurationMs: number; nowMs: number }>;

/** The spec of a renewal. */
export const renewedSpec = ({ identity, leaseDurationMs, nowMs }: Holding): object => ({
  holderIdentity: identity,
  leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
  renewTime: microTime(nowMs),
});

/** The spec of taking a Lease that was another's, or nobody's. */
export const takenSpec = (holding: Holding, before: Lease | undefined): object => ({
  ...renewedSpec(holding),
  acquireTime: microTime(holding.nowMs),
  leaseTransitions: before === undefined ? 0 : before.transitions + 1,
});

/** The spec of giving a Lease up: whoever sees it may take it at once. */
export const releasedSpec = (nowMs: number): object => ({
  holderIdentity: '',
  leaseDurationSeconds: 1,
  renewTime: microTime(nowMs),
});
