/**
 * runtimed as the pod that only removes artifacts: a session with the operator, its store, and nothing else. The pod has
 * no token for the API; the operator deletes it when there is nothing more to remove.
 */
import { from, NEVER, of, Subject, type Subscription } from 'rxjs';

import { answerRemovals, type Removal } from '../../streams/sidecar/removals.js';
import { keepSession } from '../../streams/sidecar/session.js';
import { doSweeps } from '../../streams/sidecar/sweeps.js';
import { openStore } from '../io/artifacts/open-store.js';
import { afterInput } from '../io/clock.js';
import type { Log } from '../io/log.js';
import { dialOperator } from '../io/session/client.js';
import { storeName, storePlace } from '../model/artifact-store.js';
import type { ArtifactsRemoved, SweepLogs } from '../proto/gen/session.js';
import { removeRun } from './artifacts.js';
import type { CleanupConfig } from './config.js';
import { sweepLogs } from './log-sweep.js';

const STATE = { healthy: false, healthMessage: 'it only removes artifacts', draining: false };

/** Starts it; it goes on until it is unsubscribed from. */
export const startCleanup = async (
  { pod, operator, artifacts }: CleanupConfig,
  version: string,
  log: Log,
): Promise<Subscription> => {
  const { store: settings, folder, credentialsFolder } = artifacts;
  const store = await openStore(settings, {
    folder,
    ...(credentialsFolder === undefined ? {} : { credentialsFolder }),
    owner: pod.uid,
  });
  const removalsSubject = new Subject<Removal>();
  const sweepsSubject = new Subject<SweepLogs>();
  const removedSubject = new Subject<ArtifactsRemoved>();
  const session = keepSession(dialOperator(operator), {
    hello: () => ({
      podName: pod.name,
      podUid: pod.uid,
      runtime: '',
      version,
      held: [],
      artifactStore: storePlace(settings),
      ...STATE,
    }),
    beats$: of(STATE),
    refusals$: NEVER,
    removed$: removedSubject,
    keptLogs$: NEVER,
    clock: afterInput,
  });
  const subscription = removalsSubject
    .pipe(answerRemovals((removal) => from(removeRun({ settings, store }, pod.namespace, removal, log))))
    .subscribe((answer) => removedSubject.next(answer));
  subscription.add(
    sweepsSubject
      .pipe(doSweeps((sweep) => sweepLogs({ settings, store }, pod.namespace, sweep, log)))
      .subscribe(),
  );
  subscription.add(
    session.subscribe((event) => {
      if (event.kind === 'RemoveArtifacts') removalsSubject.next(event);
      if (event.kind === 'SweepLogs') sweepsSubject.next(event);
      if (event.kind === 'Opened') log.info({ store: storeName(settings) }, 'session open');
      if (event.kind === 'Closed') log.info({ why: event.message }, 'session closed');
    }),
  );
  return subscription;
};
