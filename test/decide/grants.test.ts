import { expect } from 'chai';

import { grants, REFUSED_MS } from '../../src/decide/grants.js';
import { objectKey } from '../../src/model/ids.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import { aPod, aRuntime } from '../support/builders.js';
import { newsMachine } from '../support/news-machine.js';
import { changed, done, failed } from '../support/told.js';

const setUp = () => newsMachine(grants);
const runtime = (name: string, serviceAccountName?: string, namespace = 'default'): RuntimeRecord =>
  aRuntime({
    name,
    namespace,
    key: objectKey(namespace, name),
    uid: `uid-${name}`,
    spec: {
      template: {
        spec: {
          containers: [{ name: 'runtime', image: 'i' }],
          ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
        },
      },
    },
  });

describe('grants', () => {
  it('asks for what the Runtimes of a namespace need, and only when that changes', () => {
    const { w, apply } = setUp();
    expect(apply(changed(w.runtime(runtime('bash'))))).to.deep.equal([
      'EnsureGrant default: kruntimes-runtimed',
    ]);
    expect(apply(changed(w.runtime(runtime('python'))))).to.deep.equal([]);
    expect(apply(changed(w.runtime(runtime('java', 'builder'))))).to.deep.equal([
      'EnsureGrant default: builder, kruntimes-runtimed',
    ]);
  });

  it('keeps namespaces apart', () => {
    const { w, apply } = setUp();
    apply(changed(w.runtime(runtime('bash'))));
    expect(apply(changed(w.runtime(runtime('bash', 'builder', 'other'))))).to.deep.equal([
      'EnsureGrant other: builder',
    ]);
  });

  it('takes the grant away with the last Runtime that uses the account', () => {
    const { w, apply } = setUp();
    for (const one of [runtime('a', 'builder'), runtime('b', 'builder'), runtime('c')])
      apply(changed(w.runtime(one)));
    expect(apply(changed(w.runtimeGone(runtime('a'))))).to.deep.equal([]);
    expect(apply(changed(w.runtimeGone(runtime('b'))))).to.deep.equal([
      'EnsureGrant default: kruntimes-runtimed',
    ]);
    expect(apply(changed(w.runtimeGone(runtime('c'))))).to.deep.equal(['EnsureGrant default: none']);
  });

  it('moves the grant when a Runtime takes another account', () => {
    const { w, apply } = setUp();
    apply(changed(w.runtime(runtime('a', 'builder'))));
    expect(apply(changed(w.runtime(runtime('a', 'deployer'))))).to.deep.equal([
      'EnsureGrant default: deployer',
    ]);
  });

  it('leaves the account its grant until the pods of the Runtime that has gone are gone, too', () => {
    const { w, apply } = setUp();
    const pod = aPod('p', { runtime: objectKey('default', 'a') });
    apply(changed(w.runtime(runtime('a', 'builder'))));
    apply(changed(w.pod(pod)));
    expect(apply(changed(w.runtimeGone(runtime('a')))), 'they still write how their Runs end').to.deep.equal(
      [],
    );
    expect(apply(changed(w.pod({ ...pod, terminating: true })))).to.deep.equal([]);
    expect(apply(changed(w.podGone(pod)))).to.deep.equal(['EnsureGrant default: none']);
  });

  it('asks again for a grant that was refused, after a pause', () => {
    const { w, commands, apply, due, wake } = setUp();
    const [asked] = commands(changed(w.runtime(runtime('bash'))));
    if (asked === undefined) throw new Error('nothing was asked for');
    apply(failed(asked, 'Forbidden'), 100);
    expect(due()).to.equal(100 + REFUSED_MS);
    expect(wake(100 + REFUSED_MS)).to.deep.equal(['EnsureGrant default: kruntimes-runtimed']);
    apply(done(asked), 6000);
    expect(due()).to.equal(undefined);
  });
});
