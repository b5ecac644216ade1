/** Which pods can reach the store that holds a Run's artifacts? */

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { RUNTIME_KEY } from '../../model/names.js';
import { pods } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import type { Api } from '../api/api.js';

const RuntimePod = t.type({
  metadata: t.intersection([
    t.type({ name: t.string }),
    t.partial({ labels: t.record(t.string, t.string), deletionTimestamp: t.string }),
  ]),
  status: t.partial({ phase: t.string }),
});

/** Names of running pods: the Run's own, then those of its Runtime, then the namespace's others. */
export const podsWithStore = async (
  api: Pick<Api, 'list'>,
  namespace: string,
  run: Run,
): Promise<ReadonlyArray<string>> => {
  const { items } = await api.list(pods, { namespace, labelSelector: RUNTIME_KEY });
  const running = items.flatMap((item) => {
    const pod = RuntimePod.decode(item);
    return E.isRight(pod) && pod.right.status.phase === 'Running' ? [pod.right.metadata] : [];
  });
  const rank = ({ name, labels, deletionTimestamp }: (typeof running)[number]): number => {
    if (deletionTimestamp !== undefined) return 3;
    if (name === run.status?.assignedPod) return 0;
    return labels?.[RUNTIME_KEY] === run.spec.runtime ? 1 : 2;
  };
  return [...running].sort((a, b) => rank(a) - rank(b)).map(({ name }) => name);
};
