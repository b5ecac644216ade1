/** Artifacts of this pod's attempts: stored at their end, given out on request, discarded where nothing refers to them. */
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, type Observable } from 'rxjs';

import type { Removal } from '../../streams/sidecar/removals.js';
import type { Sweep } from '../../streams/sidecar/sweeps.js';
import { type ArtifactOwner, attemptPrefix, runPrefix } from '../decide/artifacts/keys.js';
import type { ArtifactLimits } from '../decide/artifacts/rules.js';
import type { ArtifactsCollected, AttemptRef, Collected } from '../decide/sidecar/attempt.js';
import { type Folders, ownSteps, placesOf } from '../decide/sidecar/environment.js';
import { isEmptyFolder } from '../io/artifacts/empty.js';
import { hasArtifacts, type Kept, keepArtifacts } from '../io/artifacts/keep.js';
import { Slots } from '../io/artifacts/slots.js';
import type { ArtifactStore } from '../io/artifacts/store.js';
import type { Log } from '../io/log.js';
import { markStored } from '../io/runs/mark-stored.js';
import { collectOutputs } from '../io/workspace/collect.js';
import { credentialsSecret, type RecordedStore, storePlace } from '../model/artifact-store.js';
import { runs } from '../model/resources.js';
import { Run } from '../model/run.js';
import type { KubePort } from '../ports.js';
import type { ArtifactsRemoved } from '../proto/gen/session.js';
import { sweepLogs } from './log-sweep.js';

/** Uploads of the pod at a time: a bound of memory, some MiB each with the drivers of object stores. */
const UPLOADS = 4;

/** The store of this pod. */
export type PodStore = Readonly<{ settings: RecordedStore; store: ArtifactStore }>;

export type PodArtifactsOptions = Readonly<{
  folders: Folders;
  pod: Readonly<{ namespace: string; uid: string }>;
  /** Undefined: the Runtime has none. */
  podStore: PodStore | undefined;
  limits: ArtifactLimits;
  kube: Pick<KubePort, 'get' | 'patch' | 'watch'>;
  log: Log;
  fieldsOf: (ref: AttemptRef) => Readonly<Record<string, unknown>>;
}>;

const NO_STORE: ArtifactsCollected = {
  kind: 'Lost',
  reason: 'ArtifactStoreFailed',
  message:
    'the Run left artifacts, and its Runtime has no artifact store; set spec.artifactStore of the Runtime',
};

const collected = (kept: Kept, settings: RecordedStore): ArtifactsCollected | undefined => {
  switch (kept.kind) {
    case 'None':
      return undefined;
    case 'Stored':
      return { kind: 'Stored', refs: kept.refs, store: settings };
    case 'Invalid':
      return {
        kind: 'Lost',
        reason: 'ArtifactInvalid',
        message: `artifact ${kept.message}`,
        ...(kept.isTouched ? { store: settings } : {}),
      };
    case 'Failed':
      return {
        kind: 'Lost',
        reason: 'ArtifactStoreFailed',
        message: kept.message,
        ...(kept.isTouched ? { store: settings } : {}),
      };
    default:
      return kept satisfies never;
  }
};

export type PodArtifacts = Readonly<{
  /** Outputs and artifacts of an attempt that has ended. Never rejects. */
  collect: (ref: AttemptRef, artifacts: 'Store' | 'Leave') => Promise<Collected>;
  /**
   * Removes what was stored for an attempt whose end was not ours to write, unless the Run refers to it: all of it when
   * the Run is gone, else its artifacts, if any were `stored`. Resolves to whether there still is that Run, as far as
   * is known. Never rejects.
   */
  discard: (ref: AttemptRef, stored: boolean) => Promise<boolean>;
  /** Removes all that a Run of the pod's namespace has in that store. Never rejects. */
  remove: (removal: Removal) => Promise<ArtifactsRemoved>;
  /** Removes logs that Runs which are gone have left there. Never errors. */
  sweepLogs: (sweep: Sweep) => Observable<never>;
}>;

/** Removes all that a Run has in the pod's store, which must be the one that is meant. Never rejects. */
export const removeRun = async (
  podStore: PodStore | undefined,
  namespace: string,
  { runUid, store }: Removal,
  log: Log,
): Promise<ArtifactsRemoved> => {
  const answer = (error: string): ArtifactsRemoved => ({ runUid, store, error });
  if (!podStore || storePlace(podStore.settings) !== store) return answer('the pod has another store');
  try {
    await podStore.store.remove(runPrefix({ namespace, uid: runUid }));
    log.info({ uid: runUid, store }, 'artifacts of a deleted run removed');
    return answer('');
  } catch (err) {
    log.warn({ uid: runUid, store, err }, 'artifacts of a deleted run not removed');
    const secret = credentialsSecret(podStore.settings);
    const why = err instanceof Error ? err.message : String(err);
    return answer(secret === undefined ? why : `${why} (its credentials are those of Secret ${secret})`);
  }
};

export const podArtifacts = ({
  folders,
  pod,
  podStore,
  limits,
  kube,
  log,
  fieldsOf,
}: PodArtifactsOptions): PodArtifacts => {
  const slots = new Slots(UPLOADS);

  /** Before the first byte of an attempt goes to the store; undefined when the Run is marked, else why it is not. */
  const mark = async (ref: AttemptRef): Promise<string | undefined> =>
    podStore &&
    markStored(ref, pod.uid, podStore.settings, kube, (err, ms) =>
      log.warn(
        { ...fieldsOf(ref), err, errKind: err.kind, nextAttemptMs: Math.round(ms) },
        'run not marked as having artifacts, trying again',
      ),
    );

  const keep = async (ref: AttemptRef): Promise<ArtifactsCollected | undefined> => {
    const { artifacts } = placesOf(folders, ref);
    if (isEmptyFolder(artifacts)) return undefined;
    const left = { path: folders.work, steps: [...ownSteps(ref), 'artifacts'] };
    if (!podStore) return (await hasArtifacts(left)) ? NO_STORE : undefined;
    const { settings, store } = podStore;
    const kept = await keepArtifacts(left, ref, {
      store,
      limits,
      slots,
      mark: () => mark(ref),
      now: () => new Date().toISOString(),
      onRetry: (artifact, err, ms) =>
        log.warn(
          { ...fieldsOf(ref), artifact, err, errKind: err.kind, nextAttemptMs: Math.round(ms) },
          'artifact not stored, trying again',
        ),
    });
    return collected(kept, settings);
  };

  /** What of the store the Run does not refer to: all of it when it is gone, this attempt when its end is another. */
  const unreferenced = async (ref: AttemptRef): Promise<string | undefined> => {
    const answer = await firstValueFrom(kube.get(runs, ref));
    const owner: ArtifactOwner = ref;
    if (E.isLeft(answer)) {
      if (answer.left.kind === 'NotFound') return runPrefix(owner);
      throw new Error(answer.left.message);
    }
    const run = Run.decode(answer.right);
    if (E.isLeft(run)) return undefined;
    const { metadata, status } = run.right;
    if (metadata.uid !== ref.uid) return runPrefix(owner);
    // The answer to a write may have been lost: what the status refers to is no rest.
    const isReferred = status?.artifactRefs?.some(({ location }) => location.includes(attemptPrefix(owner)));
    return isReferred ? undefined : attemptPrefix(owner);
  };

  return {
    collect: async (ref, artifacts) => {
      const outputs = await collectOutputs(folders, ref);
      if (artifacts === 'Leave') return outputs;
      const kept = await keep(ref);
      if (kept?.kind === 'Stored')
        log.info({ ...fieldsOf(ref), artifacts: kept.refs.length }, 'artifacts stored');
      if (kept?.kind === 'Lost')
        log.warn({ ...fieldsOf(ref), reason: kept.reason, why: kept.message }, 'artifacts not stored');
      return kept ? { ...outputs, artifacts: kept } : outputs;
    },
    remove: (removal) => removeRun(podStore, pod.namespace, removal, log),
    sweepLogs: (sweep) => sweepLogs(podStore, pod.namespace, sweep, log),
    discard: async (ref, stored) => {
      if (!podStore) return true;
      let isThere = true;
      try {
        const prefix = await unreferenced(ref);
        if (prefix === undefined) return true;
        isThere = prefix !== runPrefix(ref);
        if (isThere && !stored) return true;
        await podStore.store.remove(prefix);
        log.info({ ...fieldsOf(ref), prefix }, 'artifacts of a discarded attempt removed');
      } catch (err) {
        log.warn({ ...fieldsOf(ref), err }, 'artifacts of a discarded attempt may remain');
      }
      return isThere;
    },
  };
};
