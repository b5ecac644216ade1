/** What an informer says, and how an object of the API becomes one of its events. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { failedPaths } from '../../src/model/decode-paths.js';
import type { EffectError } from '../../src/model/effect-error.js';
import { type ObjectKey, objectKey } from '../../src/model/ids.js';

/** An object is there, new or changed or seen again. */
export type Apply<A> = Readonly<{ kind: 'Apply'; key: ObjectKey; resourceVersion: string; object: A }>;

/** An object is gone. */
type Delete = Readonly<{ kind: 'Delete'; key: ObjectKey; resourceVersion: string }>;

/**
 * An object that does not decode; said once for each of its versions. As far as we are concerned it is not there: a
 * restart would not see it either. `paths` are the fields that are wrong.
 */
export type Rejected = Readonly<{
  kind: 'Rejected';
  key: ObjectKey;
  resourceVersion: string;
  paths: ReadonlyArray<string>;
}>;

/**
 * Between `Init` and `InitDone` comes everything there is: what is not among it is gone. An `Init` before the
 * `InitDone` begins anew. `Disconnected` says that what we know grows old; `Connected` ends that. `Rewound`, before an
 * `Init` or in a list: the server is at an earlier version than it was (restored from a copy), so that a greater version is not a
 * newer one any more, and what it said since may never have been.
 */
export type InformerEvent<A> =
  | Readonly<{ kind: 'Init' }>
  | Apply<A>
  | Delete
  | Rejected
  | Readonly<{ kind: 'InitDone'; resourceVersion: string }>
  | Readonly<{ kind: 'Disconnected'; error: EffectError; retryInMs: number }>
  | Readonly<{ kind: 'Connected' }>
  | Readonly<{ kind: 'Rewound'; from: string; to: string }>;

const Identified = t.type({
  metadata: t.intersection([
    t.type({ name: t.string, resourceVersion: t.string }),
    t.partial({ namespace: t.string }),
  ]),
});

/** Key and version of any object. A cluster-scoped one has the empty namespace. */
export type Identity = Readonly<{ key: ObjectKey; resourceVersion: string }>;

/** Who an object is, whether or not the rest of it decodes. */
export const identityOf = (object: unknown): Identity | undefined => {
  const decoded = Identified.decode(object);
  if (E.isLeft(decoded)) return undefined;
  const { name, namespace = '', resourceVersion } = decoded.right.metadata;
  return { key: objectKey(namespace, name), resourceVersion };
};

const NOBODY: Identity = { key: objectKey('', ''), resourceVersion: '' };

/** An object that is there → its event. */
export const decodeObject = <A>(codec: t.Decoder<unknown, A>, object: unknown): Apply<A> | Rejected => {
  const identity = identityOf(object);
  if (identity === undefined) return { kind: 'Rejected', ...NOBODY, paths: ['metadata'] };
  const decoded = codec.decode(object);
  return E.isRight(decoded)
    ? { kind: 'Apply', ...identity, object: decoded.right }
    : { kind: 'Rejected', ...identity, paths: failedPaths(decoded.left) };
};
