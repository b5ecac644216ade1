/** What people with rights do to objects while Runs are in flight. */
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import { leases, pods, runs, runtimes, secrets } from '../../src/model/resources.js';
import { isTerminal, type Phase } from '../../src/model/run.js';
import type { Patch } from '../../src/ports.js';
import { answer } from '../e2e/attach.js';
import type { Fault } from './faults.js';
import type { FaultyPlane } from './plane.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const namespace = 'default';
const merge = (body: unknown): Patch => ({ type: 'merge', body });

type Named = Readonly<{
  metadata: { name: string; namespace: string; uid: string; resourceVersion: string };
  status?: { phase?: Phase; assignedPodUID?: string };
}>;

/** The same patch of the status of each Run that has not ended. What the API refuses is refused. */
const edited = (
  name: string,
  status: (run: Named, others: ReadonlyArray<Named>) => unknown,
  more: ReadonlyArray<string> = [],
): Fault => ({
  name: `status edited: ${name}`,
  // What is edited is not what happened; that it is executed again is what was asked for.
  excuses: [
    'a phase steps where it may not',
    'the attempt grows by more than one',
    'executed twice unnoticed',
    'two attempts live at one time',
    ...more,
  ],
  apply: async ({ kube }) => {
    const all = (await answer(kube.list(runs, { namespace }))).items as ReadonlyArray<Named>;
    const there = (await answer(kube.list(pods, { namespace, labelSelector: 'kruntimes.io/runtime' })))
      .items as ReadonlyArray<Named>;
    for (const run of all.filter((each) => !isTerminal(each.status?.phase))) {
      const others = there.filter(({ metadata }) => metadata.uid !== run.status?.assignedPodUID);
      const ref = { namespace, name: run.metadata.name };
      // One that has ended meanwhile is left alone.
      const { resourceVersion } = run.metadata;
      const patch = merge({ metadata: { resourceVersion }, status: status(run, others) });
      await firstValueFrom(kube.patch(runs, ref, patch, { subresource: 'status' }));
    }
  },
});

const deleteSecrets = async ({ kube }: FaultyPlane, fieldSelector?: string): Promise<void> => {
  const { items } = await answer(kube.list(secrets, fieldSelector === undefined ? {} : { fieldSelector }));
  for (const { metadata } of items as ReadonlyArray<Named>) await answer(kube.delete(secrets, metadata));
  await sleep(1000);
};

export const EDIT_FAULTS: ReadonlyArray<Fault> = [
  edited('phase Pending', () => ({ phase: 'Pending' })),
  edited('phase Pending, on no pod', () => ({ phase: 'Pending', assignedPod: null, assignedPodUID: null })),
  edited('phase Running', () => ({ phase: 'Running', attempt: 1 })),
  edited('attempt 5', () => ({ attempt: 5 })),
  edited('another pod', (_, [other]) => ({
    assignedPod: other?.metadata.name,
    assignedPodUID: other?.metadata.uid,
  })),
  edited('a pod that never was', () => ({ assignedPod: 'nobody', assignedPodUID: 'nobody' })),
  edited('next attempt in a lifetime', () => ({ nextAttemptTime: '2099-01-01T00:00:00Z' })),
  edited('emptied', () => null, ['the attempt decreases']),
  {
    name: 'labels taken off the pods',
    apply: async ({ kube, podNames }) => {
      for (const name of await podNames()) {
        const patch = merge({ metadata: { labels: { 'kruntimes.io/runtime': null } } });
        await answer(kube.patch(pods, { namespace, name }, patch));
      }
    },
  },
  {
    name: 'all pods deleted by force at once',
    apply: async ({ kube, podNames }) => {
      const names = await podNames();
      await Promise.all(
        names.map((name) => answer(kube.delete(pods, { namespace, name }, { gracePeriodSeconds: 0 }))),
      );
    },
  },
  {
    name: 'Runtime deleted and made anew',
    apply: async ({ kube }) => {
      const ref = { namespace, name: 'bash' };
      const { metadata: _old, status: _is, ...rest } = (await answer(kube.get(runtimes, ref))) as Named;
      await answer(kube.delete(runtimes, ref));
      const again = { ...rest, metadata: { name: ref.name } };
      while (E.isLeft(await firstValueFrom(kube.create(runtimes, namespace, again)))) await sleep(20);
    },
  },
  {
    name: 'CA of the sessions deleted',
    apply: (plane) => deleteSecrets(plane, 'metadata.name=kruntimes-sessions-ca'),
  },
  { name: 'all Secrets deleted', apply: (plane) => deleteSecrets(plane) },
];

const leaseOf = ({ leaseNamespace }: FaultyPlane) => ({
  namespace: leaseNamespace,
  name: 'kruntimes-controller',
});

/** Of two operators. */
export const LEASE_FAULTS: ReadonlyArray<Fault> = [
  {
    name: 'Lease deleted, five times',
    apply: async (plane) => {
      for (let i = 0; i < 5; i += 1) {
        await firstValueFrom(plane.kube.delete(leases, leaseOf(plane)));
        await sleep(150);
      }
    },
  },
  {
    name: 'Lease given to nobody known',
    apply: async (plane) => {
      const given = merge({ spec: { holderIdentity: 'nobody' } });
      // One that was deleted in the cell before is just being made anew.
      while (E.isLeft(await firstValueFrom(plane.kube.patch(leases, leaseOf(plane), given)))) await sleep(20);
    },
  },
];
