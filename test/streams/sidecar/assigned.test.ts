import { objectKey } from '../../../src/model/ids.js';
import type { Run } from '../../../src/model/run.js';
import { assignedRuns } from '../../../streams/sidecar/assigned.js';
import type { InformerEvent } from '../../../streams/watch/informer-events.js';
import { marbles } from '../../support/marbles.js';

const aRun = (name: string): Run => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '' },
  spec: { runtime: 'bash' },
  status: { phase: 'Scheduled' },
});

const key = objectKey('default', 'a');
const run = aRun('a');
const events: Record<string, InformerEvent<Run>> = {
  i: { kind: 'Init' },
  a: { kind: 'Apply', key, resourceVersion: '1', object: run },
  e: { kind: 'InitDone', resourceVersion: '1' },
  d: { kind: 'Delete', key, resourceVersion: '2' },
  x: { kind: 'Delete', key: objectKey('default', 'unknown'), resourceVersion: '3' },
  w: { kind: 'Disconnected', error: { kind: 'Unavailable', message: '' }, retryInMs: 1 },
};
const held = new Set(['held']);
const heldIds = () => held;
const open = { o: true, c: false };
const inputs = {
  L: { kind: 'Listed', runs: [run], heldBefore: held },
  s: { kind: 'Seen', run },
  v: { kind: 'Vanished', uid: 'uid-a' },
};

describe('assignedRuns', () => {
  it('watches a moment after the session was lost, and lists once when there is one again', () =>
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, clock) => {
      const isOpen$ = hot('c 999ms o', open);
      const watch$ = cold('   (iae) 95ms a 9ms d', events);
      const list$ = cold('    2ms (r|)', { r: [run] });
      const inputs$ = assignedRuns(isOpen$, { list$, watch$, heldIds }, clock);
      expectObservable(inputs$).toBe('250ms L 99ms s 9ms v 641ms L', inputs);
      expectSubscriptions(watch$.subscriptions).toBe('250ms ^ 749ms !');
      expectSubscriptions(list$.subscriptions).toBe('1000ms ^ 1ms !');
    }));

  it('does not begin a watch for a session that is back within a moment', () =>
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, clock) => {
      const isOpen$ = hot('o 99ms c 199ms o', open);
      const watch$ = cold('-', events);
      const list$ = cold('(r|)', { r: [run] });
      expectObservable(assignedRuns(isOpen$, { list$, watch$, heldIds }, clock)).toBe('L 299ms L', inputs);
      expectSubscriptions(watch$.subscriptions).toBe([]);
    }));

  it('takes a list that begins anew for one list, and says nothing of what it never knew', () =>
    marbles(({ hot, cold, expectObservable }, clock) => {
      const isOpen$ = hot('c', open);
      const watch$ = cold('(iawiaex)', events);
      const list$ = cold('-', { r: [run] });
      expectObservable(assignedRuns(isOpen$, { list$, watch$, heldIds }, clock), '^ 1s !').toBe(
        '250ms L',
        inputs,
      );
    }));

  it('gives up a list that is under way when the session is lost', () =>
    marbles(({ hot, cold, expectObservable, expectSubscriptions }, clock) => {
      const isOpen$ = hot('o 99ms c', open);
      const list$ = cold('500ms (r|)', { r: [run] });
      const watch$ = cold('-', events);
      expectObservable(assignedRuns(isOpen$, { list$, watch$, heldIds }, clock), '^ 2s !').toBe('');
      expectSubscriptions(list$.subscriptions).toBe('^ 99ms !');
    }));
});
