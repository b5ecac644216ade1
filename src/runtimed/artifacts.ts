/** Artifacts of this pod's attempts: stored at their end, given out on request, discarded where nothing refers to them. */
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import { type ArtifactOwner, attemptPrefix, runPrefix } from '../decide/artifacts/keys.js';
import type { ArtifactLimits } from '../decide/artifacts/rules.js';
import type { ArtifactsCollected, AttemptRef, Collected } from '../decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../decide/sidecar/environment.js';
import { hasArtifacts, type Kept, keepArtifacts } from '../io/artifacts/keep.js';
import { Slots } from '../io/artifacts/slots.js';
import type { ArtifactStore } from '../io/artifacts/store.js';
import type { Log } from '../io/log.js';
import { collectOutputs } from '../io/workspace/collect.js';
import type { ArtifactStoreSettings } from '../model/artifact-store.js';
import { runs } from '../model/resources.js';
import { Run } from '../model/run.js';
import type { KubePort } from '../ports.js';

/** Uploads of the pod at a time: a bound of memory, some MiB each with the drivers of object stores. */
const UPLOADS = 4;

/** The store of this pod. */
export type PodStore = Readonly<{ settings: ArtifactStoreSettings; store: ArtifactStore }>;

export type PodArtifactsOptions = Readonly<{
  folders: Folders;
  /** Undefined: the Runtime has none. */
  podStore: PodStore | undefined;
  limits: ArtifactLimits;
  kube: Pick<KubePort, 'get'>;
  log: Log;
  fieldsOf: (ref: AttemptRef) => Readonly<Record<string, unknown>>;
}>;

const NO_STORE: ArtifactsCollected = {
  kind: 'Lost',
  reason: 'ArtifactStoreFailed',
  message:
    'the Run left artifacts, and its Runtime has no artifact store; set spec.artifactStore of the Runtime',
};

const collected = (kept: Kept, settings: ArtifactStoreSettings): ArtifactsCollected | undefined => {
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
      return { kind: 'Lost', reason: 'ArtifactStoreFailed', message: kept.message, store: settings };
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
}>;

export const podArtifacts = ({
  folders,
  podStore,
  limits,
  kube,
  log,
  fieldsOf,
}: PodArtifactsOptions): PodArtifacts => {
  const slots = new Slots(UPLOADS);

  const keep = async (ref: AttemptRef): Promise<ArtifactsCollected | undefined> => {
    const { artifacts } = placesOf(folders, ref);
    if (!podStore) return (await hasArtifacts(artifacts)) ? NO_STORE : undefined;
    const { settings, store } = podStore;
    const kept = await keepArtifacts(artifacts, ref, {
      store,
      limits,
      slots,
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
