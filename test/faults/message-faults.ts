/** What may happen to the messages of sessions, though a stream keeps their order. */
import { secrets } from '../../src/model/resources.js';
import { answer } from '../e2e/attach.js';
import type { Fault } from './faults.js';
import { type Meddling, type MessageProxy, startMessageProxy } from './message-proxy.js';
import { CAPACITY, type FaultyPlane, REPLICAS } from './plane.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What the sessions of a plane go through in a cell. */
const proxies = new WeakMap<FaultyPlane, MessageProxy>();

/** A cut, after which there are sessions again. */
const cut = async ({ sessions }: FaultyPlane, { whenOpen }: MessageProxy, count: number): Promise<void> => {
  const open = whenOpen(count);
  sessions.cut();
  await open;
};

/**
 * As long as these times together, milliseconds; sessions are cut between each two of them. They go through the proxy from
 * before the Runs are made: what a situation was brought about by is known in it, and of what is told later the fault
 * misses nothing.
 */
const meddled = (what: string, meddling: Meddling, times: ReadonlyArray<number> = [2500, 2500]): Fault => ({
  name: `messages of sessions ${what}`,
  before: async (plane) => {
    const { items } = await answer(
      plane.kube.list(secrets, { fieldSelector: 'metadata.name=kruntimes-sessions-ca' }),
    );
    const proxy = await startMessageProxy(plane.sessions.targets, items[0], meddling, REPLICAS * CAPACITY);
    proxies.set(plane, proxy);
    plane.sessions.divert(proxy.port);
    await cut(plane, proxy, REPLICAS);
  },
  apply: async (plane, chance) => {
    const proxy = proxies.get(plane);
    if (proxy === undefined) throw new Error('the sessions do not go through the proxy');
    proxy.begin(chance);
    for (const [i, ms] of times.entries()) {
      // Of a scale-down only one pod comes back.
      if (i > 0) await cut(plane, proxy, 1);
      await sleep(ms);
    }
    plane.sessions.divert(undefined);
    proxy.close();
    plane.sessions.cut();
    if (proxy.hits() === 0) throw new Error('no message met the fault: the cell says nothing');
  },
});

export const MESSAGE_FAULTS: ReadonlyArray<Fault> = [
  meddled('twice', { passes: () => [0, 0] }),
  meddled('late and out of order', { passes: (_, chance) => [1 + chance() * 1500] }),
  meddled('twice, late and out of order', {
    passes: (_, chance) => [1 + chance() * 500, 1 + chance() * 2000],
  }),
  meddled('lost, every other one', { passes: (nth) => (nth % 2 === 0 ? [] : [0]) }),
  meddled('of earlier sessions again', { passes: () => [0], replays: true }, [0, 2500, 2500, 2500, 2500]),
];
