/** metav1.Table, as servers answer to `Accept: application/json;as=Table`. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { EffectError } from '../../model/effect-error.js';
import type { Row, Table } from './api.js';

/** Asks for a table, and takes the plain list from a server that has none. */
export const TABLE_ACCEPT = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

const Metadata = t.intersection([
  t.type({ name: t.string, uid: t.string, resourceVersion: t.string }),
  t.partial({ namespace: t.string }),
]);

const WireTable = t.intersection([
  t.type({
    kind: t.literal('Table'),
    rows: t.union([
      t.array(t.type({ cells: t.UnknownArray, object: t.type({ metadata: Metadata }) })),
      t.null,
    ]),
  }),
  t.partial({
    columnDefinitions: t.union([
      t.array(
        t.intersection([t.type({ name: t.string }), t.partial({ type: t.string, priority: t.number })]),
      ),
      t.null,
    ]),
    metadata: t.partial({ resourceVersion: t.string, continue: t.string }),
  }),
]);

/** The table in an answer, and where its next page begins. */
export const decodeTable = (
  what: string,
  body: unknown,
): E.Either<EffectError, Table & Readonly<{ continue?: string | undefined }>> => {
  const decoded = WireTable.decode(body);
  if (E.isLeft(decoded))
    return E.left({ kind: 'Invalid', message: `cannot ${what}: the server did not answer with a table` });
  const { rows, columnDefinitions, metadata } = decoded.right;
  return E.right({
    columns: (columnDefinitions ?? []).map(({ name, type = 'string', priority = 0 }) => ({
      name,
      type,
      priority,
    })),
    rows: (rows ?? []).map(
      ({ cells, object: { metadata: of } }): Row => ({
        cells,
        uid: of.uid,
        namespace: of.namespace ?? '',
        name: of.name,
        resourceVersion: of.resourceVersion,
      }),
    ),
    resourceVersion: metadata?.resourceVersion ?? '',
    continue: metadata?.continue || undefined,
  });
};
