/** A new CA of the sessions, asked for while Runs come and go. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, timeout } from 'rxjs';
import { pods, secrets } from '../../src/model/resources.js';
import type { Run } from '../../src/model/run.js';
import type { Body } from '../conformance/target.js';
import { answer, type ControlPlane, startControlPlane } from './control-plane.js';

describe('a new session CA', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
  });
  after(() => plane?.stop());

  it('reaches all pods, and no Run notices', async () => {
    const before = await plane.podNames();
    const goFile = join(plane.dataDir, 'go');
    // It goes on until it is told: one that ends while a busy machine has not yet said that it runs is never Running.
    await plane.create('long', { source: { inline: `until [ -e ${goFile} ]; do sleep 0.05; done` } });
    await plane.whenRun('long', ({ status }) => status?.phase === 'Running');
    const ref = { namespace: 'kruntimes-system', name: 'kruntimes-sessions-ca' };
    const secret = (await answer(plane.kube.get(secrets, ref))) as Body;
    const replaced = firstValueFrom(
      plane.kube
        .watch(
          pods,
          { namespace: 'default', labelSelector: 'kruntimes.io/runtime' },
          { resourceVersion: secret.metadata.resourceVersion, timeoutSeconds: 100, idleMs: 100_000 },
        )
        .pipe(
          filter(
            (frame) =>
              E.isRight(frame) &&
              frame.right.type === 'DELETED' &&
              isLastOf(before, frame.right.object as Body),
          ),
          timeout({ first: 60_000 }),
        ),
    );
    const annotations = { 'kruntimes.io/rotate': 'now' };
    await answer(plane.kube.patch(secrets, ref, { type: 'merge', body: { metadata: { annotations } } }));
    const names = Array.from({ length: 12 }, (_, index) => `during-${index}`);
    const ends: Run[] = [];
    for (const name of names) {
      await plane.create(name, { source: { inline: 'sleep 0.3' } });
      ends.push(await plane.end(name));
    }
    await writeFile(goFile, '');
    await replaced;
    ends.push(await plane.end('long'));
    expect(ends.map(({ status }) => [status?.phase, status?.attempt])).to.deep.equal(
      ends.map(() => ['Succeeded', 1]),
    );
    expect((await plane.podNames()).filter((name) => before.includes(name))).to.deep.equal([]);
    const renewed = (await answer(plane.kube.get(secrets, ref))) as Body;
    expect(renewed.data['tls.crt']).to.not.equal(secret.data['tls.crt']);
    await plane.create('after', { source: { inline: ':' } });
    expect((await plane.end('after')).status?.phase).to.equal('Succeeded');
  });

  const gone = new Set<string>();
  const isLastOf = (names: ReadonlyArray<string>, pod: Body): boolean => {
    gone.add(pod.metadata.name);
    return names.every((name) => gone.has(name));
  };
});
