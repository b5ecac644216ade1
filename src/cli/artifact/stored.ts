/** What a store has of a Run, of all its attempts, asked through a pod that has the store. */
import type { Run } from '../../model/run.js';
import { type Entry, ListRequest, ListResponse } from '../../proto/gen/artifacts.js';
import { Failure } from '../failure.js';
import type { OpenCluster } from '../krt.js';
import { CallError, callPod, RUNTIMED_PORT } from './pod-call.js';
import { podsWithStore } from './pods.js';

const LIST = '/kruntimes.artifacts.v1.Artifacts/List';

/** Errors: NoAccess; Error where no pod answers. */
export const storedEntries = async (
  { api, namespace }: Pick<OpenCluster, 'api' | 'namespace'>,
  run: Run,
): Promise<ReadonlyArray<Entry>> => {
  const request = ListRequest.encode({ runUid: run.metadata.uid }).finish();
  let trouble: unknown;
  for (const name of await podsWithStore(api, namespace, run))
    try {
      const connection = await api.openPort({ namespace, name }, RUNTIMED_PORT);
      for await (const message of callPod(connection, LIST, request))
        return ListResponse.decode(message).entries;
    } catch (cause) {
      if (cause instanceof Failure && cause.kind === 'NoAccess') throw cause;
      if (!(cause instanceof Failure || cause instanceof CallError)) throw cause;
      trouble = cause;
    }
  const why = trouble instanceof Error ? trouble.message : 'no Runtime Pod runs in the namespace';
  throw new Failure('Error', `the store of run ${namespace}/${run.metadata.name} cannot be asked: ${why}`, {
    hint: 'it is asked through a Runtime Pod whose Runtime has the same store',
    cause: trouble,
  });
};
