/** The Artifacts service of this pod: what its store has of the Runs of its namespace, and of no others. */
import { once } from 'node:events';

import {
  type Server,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';

import { artifactKey, keyProblem, partsOfKey, runPrefix } from '../../decide/artifacts/keys.js';
import { nameProblem } from '../../decide/artifacts/rules.js';
import {
  ArtifactsService,
  type Entry,
  type ListRequest,
  type ListResponse,
  type ReadRequest,
  type ReadResponse,
} from '../../proto/gen/artifacts.js';
import { type ArtifactStore, StoreError } from './store.js';

/** Bytes of one message at most. */
const MESSAGE_BYTES = 256 * 1024;
/** Entries of one answer at most: 100 attempts of 32 artifacts fit. */
const MOST_ENTRIES = 4_096;

type Refusal = Readonly<{ code: status; details: string }>;
type ReadCall = ServerWritableStream<ReadRequest, ReadResponse>;

const CODES: Readonly<Record<StoreError['kind'], status>> = {
  NotFound: status.NOT_FOUND,
  Refused: status.PERMISSION_DENIED,
  Full: status.RESOURCE_EXHAUSTED,
  Unavailable: status.UNAVAILABLE,
};

const refusalOf = (cause: unknown): Refusal =>
  cause instanceof StoreError
    ? { code: CODES[cause.kind], details: cause.message }
    : { code: status.INTERNAL, details: cause instanceof Error ? cause.message : String(cause) };

const NO_STORE: Refusal = {
  code: status.FAILED_PRECONDITION,
  details: 'this pod has no artifact store',
};

const isUid = (uid: string): boolean => !uid.includes('/') && keyProblem(`x/${uid}`) === undefined;

const list = async (store: ArtifactStore, namespace: string, uid: string): Promise<ListResponse> => {
  const entries: Entry[] = [];
  for await (const { key, sizeBytes } of store.list(runPrefix({ namespace, uid }))) {
    const parts = partsOfKey(key, { namespace, uid });
    if (parts) entries.push({ ...parts, sizeBytes });
    if (entries.length >= MOST_ENTRIES) break;
  }
  return { entries: entries.sort((a, b) => a.attempt - b.attempt || (a.name < b.name ? -1 : 1)) };
};

const send = async (store: ArtifactStore, key: string, call: ReadCall): Promise<void> => {
  const stream = await store.read(key, call.request.fromByte);
  const cancelled = once(call, 'cancelled');
  cancelled.catch(() => undefined);
  try {
    for await (const chunk of stream) {
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
      for (let at = 0; at < bytes.length; at += MESSAGE_BYTES)
        if (!call.write({ data: bytes.subarray(at, at + MESSAGE_BYTES) }))
          await Promise.race([once(call, 'drain'), cancelled]);
      if (call.cancelled) return;
    }
    call.end();
  } finally {
    stream.destroy();
  }
};

/** Adds the service to a server. `store` undefined: the pod has none, and says so. */
export const serveArtifacts = (server: Server, namespace: string, store: ArtifactStore | undefined): void => {
  server.addService(ArtifactsService, {
    list: (call: ServerUnaryCall<ListRequest, ListResponse>, answer: sendUnaryData<ListResponse>) => {
      const { runUid } = call.request;
      if (!store) return answer(NO_STORE);
      if (!isUid(runUid)) return answer({ code: status.INVALID_ARGUMENT, details: 'run_uid is no UID' });
      list(store, namespace, runUid).then(
        (response) => answer(null, response),
        (cause: unknown) => answer(refusalOf(cause)),
      );
    },
    read: (call: ReadCall) => {
      const { runUid, attempt, name, fromByte } = call.request;
      const problem =
        !isUid(runUid) || !(attempt >= 1) || nameProblem(name) !== undefined || !(fromByte >= 0)
          ? { code: status.INVALID_ARGUMENT, details: 'the request names no artifact' }
          : store
            ? undefined
            : NO_STORE;
      if (problem || !store) {
        call.emit('error', problem ?? NO_STORE);
        return;
      }
      const key = artifactKey({ namespace, uid: runUid, attempt }, name);
      send(store, key, call).catch((cause: unknown) => {
        if (!call.cancelled) call.emit('error', refusalOf(cause));
      });
    },
  });
};
