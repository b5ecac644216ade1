import { expect } from 'chai';

import { LOST_MS, podReadiness, REFUSED_MS } from '../../src/decide/pod-readiness.js';
import { aPod } from '../support/builders.js';
import { newsMachine } from '../support/news-machine.js';
import { changed, done, failed, version } from '../support/told.js';

const fresh = aPod('p', { ready: false, runtimedReady: undefined });
const ready = aPod('p');

const setUp = () => newsMachine(podReadiness);

describe('podReadiness', () => {
  it('makes a pod ready when its session opens, whichever is seen first', () => {
    const a = setUp();
    expect(a.apply(changed(a.w.pod(fresh)))).to.deep.equal([]);
    expect(a.apply(changed(a.w.opened(fresh)))).to.deep.equal(['PatchPodReady p: True SessionOpen']);
    const b = setUp();
    expect(b.apply(changed(b.w.opened(fresh)))).to.deep.equal([]);
    expect(b.apply(changed(b.w.pod(fresh)))).to.deep.equal(['PatchPodReady p: True SessionOpen']);
  });

  it('asks once for a state, and believes the cache once it holds the answer', () => {
    const { w, commands, apply } = setUp();
    apply(changed(w.pod(fresh)));
    const [asked] = commands(changed(w.opened(fresh)));
    if (asked === undefined) throw new Error('nothing was asked for');
    expect(apply(changed(w.pod(fresh))), 'not seen yet').to.deep.equal([]);
    apply(done(asked, version('3')));
    // The third version of this world says that the condition is not there: somebody took it away.
    expect(apply(changed(w.pod(fresh)))).to.deep.equal(['PatchPodReady p: True SessionOpen']);
  });

  it('says so at once when runtimed drains or its Runtime Server is not well', () => {
    const { w, apply } = setUp();
    apply(changed(w.pod(ready)));
    apply(changed(w.opened(ready)));
    expect(apply(changed(w.changed(ready, { healthy: false, healthMessage: 'down' })))).to.deep.equal([
      'PatchPodReady p: False RuntimeServerUnhealthy',
    ]);
    expect(apply(changed(w.changed(ready, { healthy: true })))).to.deep.equal([
      'PatchPodReady p: True SessionOpen',
    ]);
    expect(apply(changed(w.changed(ready, { draining: true })))).to.deep.equal([
      'PatchPodReady p: False Draining',
    ]);
  });

  it('leaves the condition alone while a session is merely away, and not for ever', () => {
    const { w, apply, due, wake } = setUp();
    apply(changed(w.pod(ready)));
    apply(changed(w.opened(ready)));
    expect(apply(changed(w.closed(ready)), 1000)).to.deep.equal([]);
    expect(due()).to.equal(1000 + LOST_MS);
    expect(wake(1000 + LOST_MS)).to.deep.equal(['PatchPodReady p: False SessionLost']);
  });

  it('forgets the loss when the session comes back', () => {
    const { w, apply, due } = setUp();
    apply(changed(w.pod(ready)));
    apply(changed(w.opened(ready)));
    apply(changed(w.closed(ready)), 1000);
    expect(apply(changed(w.opened(ready)), 2000)).to.deep.equal([]);
    expect(due()).to.equal(undefined);
  });

  it('does not speak of a lost session on a pod that the kubelet calls not ready', () => {
    const { w, apply, wake } = setUp();
    apply(changed(w.pod({ ...ready, ready: false })));
    expect(wake(LOST_MS)).to.deep.equal([]);
  });

  it('an operator that has just begun, without any session, changes nothing at once', () => {
    const { w, apply, due } = setUp();
    expect(apply(changed(w.pod(ready)), 5)).to.deep.equal([]);
    expect(due()).to.equal(5 + LOST_MS);
  });

  it('asks again when the write was refused', () => {
    const { w, commands, apply, wake } = setUp();
    apply(changed(w.pod(fresh)));
    const [asked] = commands(changed(w.opened(fresh)));
    if (asked === undefined) throw new Error('nothing was asked for');
    apply(failed(asked), 10);
    expect(wake(10 + REFUSED_MS)).to.deep.equal(['PatchPodReady p: True SessionOpen']);
  });

  it('says nothing of a pod that has ended, and keeps nothing of one that is gone', () => {
    const { w, apply, due } = setUp();
    expect(apply(changed(w.pod({ ...ready, finished: true })))).to.deep.equal([]);
    expect(apply(changed(w.opened(ready)))).to.deep.equal([]);
    apply(changed(w.closed(ready)));
    apply(changed(w.podGone(ready)));
    expect(due()).to.equal(undefined);
  });
});
