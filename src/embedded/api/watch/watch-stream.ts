/**
 * One watch: what is there or happened since its version, then what happens, with bookmarks, until its time is over or
 * the client goes. What is past is written as fast as the client reads it, see `paced.ts`. Of what happens a client
 * that does not read has a part buffered, then it is cut off; it resumes from its last version.
 */
import type { ServerResponse } from 'node:http';

import { expired, invalid } from '../errors.js';
import type { JsonObject } from '../json.js';
import type { KubeObject } from '../object.js';
import { writePaced } from '../request/paced.js';
import { apiVersionOf } from '../resources/resource-type.js';
import type { StoreEvent } from '../store/entry.js';
import type { Tree } from '../store/store.js';
import type { IncludeObject } from '../table/table.js';
import { metadataOnly, tableOf } from '../table/table.js';
import type { Call } from '../verbs/call.js';
import { checkNotInFuture } from '../verbs/list.js';
import type { Selection } from '../verbs/selection.js';
import { selectionOf } from '../verbs/selection.js';
import type { Seen } from './watch-events.js';
import { seenEvent, seenObject, sharedLine } from './watch-events.js';

/** Bytes that may wait for a slow reader. */
const maxBacklogBytes = 32 * 1024 * 1024;
/** Time between bookmarks, milliseconds; as kube-apiserver's. */
const bookmarkMs = 60_000;
/** A watch without timeoutSeconds lasts between this and twice this long, milliseconds. */
const minWatchMs = 30 * 60_000;

/** Form of the events' objects. */
export type WatchForm = Readonly<{ kind: 'object' | 'metadata' } | { kind: 'table'; include: IncludeObject }>;

const line = (type: string, object: JsonObject): string => `${JSON.stringify({ type, object })}\n`;

/** Refuses the options that stand for a list streamed by a watch, as a server without that feature does. */
const checkOptions = ({ query }: Call): void => {
  if (query.get('sendInitialEvents') !== null) {
    const isWithoutMatch = (query.get('resourceVersionMatch') ?? '') === '';
    throw invalid('meta.k8s.io', 'ListOptions', '', [
      ...(isWithoutMatch
        ? [
            {
              type: 'Forbidden' as const,
              field: 'resourceVersionMatch',
              detail: 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
            },
          ]
        : []),
      {
        type: 'Forbidden',
        field: 'sendInitialEvents',
        detail: 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
      },
    ]);
  }
  if ((query.get('resourceVersionMatch') ?? '') !== '') {
    throw invalid('meta.k8s.io', 'ListOptions', '', [
      {
        type: 'Forbidden',
        field: 'resourceVersionMatch',
        detail: 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      },
    ]);
  }
};

/** Serves a watch on an answer whose headers are not sent yet. Throws before it has sent anything, or not at all. */
export const serveWatch = (call: Call, response: ServerResponse, form: WatchForm): void => {
  checkOptions(call);
  const selection = selectionOf(call);
  const { backend, type, query } = call;
  const { store } = backend;
  const version = query.get('resourceVersion') ?? '';
  const timeoutText = query.get('timeoutSeconds') ?? '';
  if (version !== '') checkNotInFuture(version, store.revision);

  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();

  const render = rendererOf(call, form);
  const textOf = (event: StoreEvent): Buffer | string | undefined => {
    if (selection.namespace !== '' && !event.entry.key.startsWith(`${selection.namespace}/`))
      return undefined;
    const seen = seenEvent(event, selection.includes);
    return seen === undefined ? undefined : render(seen);
  };
  const tooOld = (from: number): string =>
    line('ERROR', expired(`too old resource version: ${from} (${store.floor(type.storage)})`).status());
  let unsubscribe: (() => void) | undefined;
  const follow = (): void => {
    unsubscribe = store.subscribe(type.storage, (event) => {
      const text = textOf(event);
      if (text === undefined) return;
      response.write(text);
      if (response.writableLength > maxBacklogBytes) response.destroy();
    });
  };
  /** All that is past, ever newer: it ends in the turn of the event loop in which nothing is left. */
  const past = function* (): Generator<Buffer | string> {
    let sent = Number(version);
    if (sent === 0) {
      sent = store.revision;
      yield* initialLines(store.snapshot(type.storage), selection, render);
    }
    for (;;) {
      const events = store.since(type.storage, sent);
      if (events === undefined) {
        yield tooOld(sent);
        response.end();
        return;
      }
      if (events.length === 0) return follow();
      for (const event of events) {
        sent = event.revision;
        const text = textOf(event);
        if (text !== undefined) yield text;
      }
    }
  };
  const stopPacing = writePaced(response, past());

  const wantsBookmarks = query.get('allowWatchBookmarks') === 'true';
  const bookmark = (): void => {
    // Who is still catching up has not seen all until now.
    if (unsubscribe === undefined) return;
    // The store's revision may be ahead of the last event of this resource: nothing of it is missing.
    response.write(
      line('BOOKMARK', {
        kind: type.kind,
        apiVersion: apiVersionOf(type),
        metadata: { resourceVersion: String(store.revision), creationTimestamp: null },
      }),
    );
  };
  const bookmarks = wantsBookmarks ? setInterval(bookmark, bookmarkMs) : undefined;
  const lastsMs = /^[1-9][0-9]*$/.test(timeoutText)
    ? Math.min(Number(timeoutText) * 1000, 2 ** 31 - 1)
    : minWatchMs * (1 + Math.random());
  /** Nothing may be written after the end, which a client that does not read puts off for as long as it likes. */
  const stop = (): void => {
    clearTimeout(timeout);
    clearInterval(bookmarks);
    stopPacing();
    unsubscribe?.();
  };
  const end = (): void => {
    stop();
    if (wantsBookmarks && response.writable) bookmark();
    response.end();
  };
  const timeout = setTimeout(end, lastsMs);
  response.on('close', stop);
};

/** The objects that are there already, as added. */
const initialLines = function* (
  tree: Tree,
  { namespace, includes }: Selection,
  render: (seen: Seen) => Buffer | string,
): Generator<Buffer | string> {
  const prefix = namespace === '' ? '' : `${namespace}/`;
  for (const [key, entry] of tree.entries(prefix)) {
    if (!key.startsWith(prefix)) return;
    if (includes(entry)) yield render({ type: 'ADDED', entry });
  }
};

const rendererOf = ({ backend, type }: Call, form: WatchForm): ((seen: Seen) => Buffer | string) => {
  const served = (object: KubeObject): KubeObject => type.toServed?.(object) ?? object;
  if (form.kind === 'metadata') return (seen) => line(seen.type, metadataOnly(served(seenObject(seen))));
  if (form.kind === 'table') {
    let isFirst = true;
    return (seen) => {
      const object = seenObject(seen);
      const metadata = { resourceVersion: object.metadata.resourceVersion ?? '' };
      const table = tableOf(type, [object], metadata, form.include, backend.nowMs(), isFirst);
      isFirst = false;
      return line(seen.type, table);
    };
  }
  if (type.toServed !== undefined) return (seen) => line(seen.type, served(seenObject(seen)));
  return (seen) =>
    seen.entry === undefined ? line(seen.type, seen.left) : sharedLine(seen.type, seen.entry);
};
