/** What may happen to the messages of sessions, though a stream keeps their order. */
import { secrets } from '../../src/model/resources.js';
import { answer } from '../e2e/attach.js';
import type { Fault } from './faults.js';
import { type Meddling, startMessageProxy } from './message-proxy.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** For 5 s, or while sessions are cut every 2.5 s: long enough for one to open and be told something. */
const meddled = (what: string, meddling: Meddling, cuts = 1): Fault => ({
  name: `messages of sessions ${what}`,
  apply: async ({ kube, sessions }) => {
    const { items } = await answer(
      kube.list(secrets, { fieldSelector: 'metadata.name=kruntimes-sessions-ca' }),
    );
    const proxy = await startMessageProxy(sessions.targets, items[0], meddling);
    sessions.divert(proxy.port);
    for (let i = 0; i < cuts; i += 1) {
      sessions.cut();
      await sleep(cuts === 1 ? 5000 : 2500);
    }
    sessions.divert(undefined);
    proxy.close();
    sessions.cut();
    if (proxy.hits() === 0) throw new Error('no message met the fault: the cell says nothing');
  },
});

export const MESSAGE_FAULTS: ReadonlyArray<Fault> = [
  meddled('twice', { passes: () => [0, 0] }),
  meddled('late and out of order', { passes: () => [1 + Math.random() * 1500] }),
  meddled('twice, late and out of order', {
    passes: () => [1 + Math.random() * 500, 1 + Math.random() * 2000],
  }),
  meddled('lost, every other one', { passes: () => (Math.random() < 0.5 ? [] : [0]) }),
  meddled('of earlier sessions again', { passes: () => [0], replays: true }, 4),
];
