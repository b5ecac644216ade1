/**
 * A list as text, an item at a time: of 100,000 objects one is parsed and written, not all. Costs nothing until it is
 * asked, and what it says does not change meanwhile: a page is of one moment.
 */
import type { JsonObject } from '../json.js';
import type { KubeObject } from '../object.js';
import { apiVersionOf } from '../resources/resource-type.js';
import type { Entry } from '../store/entry.js';
import { metadataOnly, rowOf, tableOf } from '../table/table.js';
import type { Call } from '../verbs/call.js';
import type { Page } from '../verbs/list.js';
import type { Accepted } from './accept.js';

const comma = Buffer.from(',');

/** How a list is written: all of it but its items, whose empty array comes last, and each of these. */
type ListForm = Readonly<{ head: JsonObject; itemOf: (entry: Entry) => Buffer | string }>;

const listForm = ({ type, backend }: Call, accepted: Accepted, page: Page): ListForm => {
  const metadata: JsonObject = {
    resourceVersion: String(page.revision),
    ...(page.next === undefined ? {} : { continue: page.next }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  if (accepted.kind === 'table') {
    const nowMs = backend.nowMs();
    return {
      head: tableOf(type, [], metadata, accepted.include, nowMs),
      itemOf: ({ object }) => JSON.stringify(rowOf(type, object, accepted.include, nowMs)),
    };
  }
  const served = (object: KubeObject): KubeObject => type.toServed?.(object) ?? object;
  if (accepted.kind === 'metadata')
    return {
      head: { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items: [] },
      itemOf: ({ object }) => JSON.stringify(metadataOnly(served(object))),
    };
  return {
    head: { kind: type.listKind, apiVersion: apiVersionOf(type), metadata, items: [] },
    // Stored texts need not be parsed.
    itemOf: (entry) => (type.toServed === undefined ? entry.bytes : JSON.stringify(served(entry.object))),
  };
};

/** The parts of a page in the form that was asked for. */
export const listTexts = function* (call: Call, page: Page, accepted: Accepted): Generator<Buffer | string> {
  const { head, itemOf } = listForm(call, accepted, page);
  yield JSON.stringify(head).slice(0, -2);
  for (const [i, entry] of page.entries.entries()) {
    if (i > 0) yield comma;
    yield itemOf(entry);
  }
  yield ']}';
};
