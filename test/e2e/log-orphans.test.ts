/** Logs of Runs that were deleted while nobody could remove them: gone when somebody can, and nothing else with them. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, utimesSync, watch } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';

import { runs, runtimes } from '../../src/model/resources.js';
import type { Run } from '../../src/model/run.js';
import { answer, type ControlPlane, hasControllers, startControlPlane } from './control-plane.js';

describe('logs of Runs that are gone', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane({ replicas: 1 });
  });
  after(() => plane?.stop());

  const namespaceFolder = (): string => join(plane.dataDir, 'volumes/default/kruntimes-artifacts/default');
  const folderOf = (uid: string): string => join(namespaceFolder(), uid);
  /** Resolves when that is so, looked at after each change below the folder. */
  const until = (folder: string, isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const watcher = watch(folder, look);
      function look(): void {
        if (!isSo()) return;
        watcher.close();
        resolve();
      }
      look();
    });
  /** A Run that has ended, its log in the store. */
  const logged = async (name: string): Promise<Run> => {
    await plane.create(name, { source: { inline: `echo ${name}` } });
    const run = await plane.end(name);
    const folder = folderOf(run.metadata.uid);
    mkdirSync(folder, { recursive: true });
    await until(folder, () => readdirSync(folder).length > 0);
    return run;
  };
  const remove = (name: string): Promise<unknown> =>
    answer(plane.kube.delete(runs, { namespace: 'default', name }));
  const age = (uid: string, hours = 2): void => {
    const then = Date.now() / 1000 - hours * 3600;
    for (const name of readdirSync(folderOf(uid))) utimesSync(join(folderOf(uid), name), then, then);
  };

  it('go when pods and the operator are back; those of Runs that are there, of others, and young ones stay', async () => {
    const [noPod, noOperator, there, young] = await Promise.all(
      ['no-pod', 'no-operator', 'there', 'young'].map(logged),
    );
    if (!noPod || !noOperator || !there || !young) throw new Error('a Run is missing');
    const [name = ''] = readdirSync(folderOf(noPod.metadata.uid));
    expect(name).to.match(/^log-1-[0-9a-f-]{36}\.[0-9a-f-]{36}$/);
    // Another cluster's, in the same store below a namespace of the same name.
    mkdirSync(folderOf('another-clusters'), { mode: 0o700 });
    copyFileSync(
      join(folderOf(noPod.metadata.uid), name),
      join(folderOf('another-clusters'), name.replace(/\..*/, '.another-installation')),
    );

    await plane.patchRuntime('bash', { spec: { replicas: 0 } });
    await plane.whenNoPods();
    await remove('no-pod');
    await plane.whenGone('no-pod');
    const operators = plane.pidsOf('controller.js');
    expect(operators).to.have.length(1);
    for (const pid of operators) process.kill(pid, 'SIGSTOP');
    for (const each of ['no-operator', 'young']) {
      await remove(each);
      await plane.whenGone(each);
    }
    for (const uid of ['another-clusters', ...[noPod, noOperator, there].map(({ metadata }) => metadata.uid)])
      age(uid);
    for (const pid of operators) process.kill(pid, 'SIGKILL');

    await plane.patchRuntime('bash', { spec: { replicas: 1 } });
    await until(namespaceFolder(), () =>
      [noPod, noOperator].every(({ metadata }) => !existsSync(folderOf(metadata.uid))),
    );
    await plane.whenReady('bash', 1);
    // What the sweep has taken, it took in one pass, and that is over when a Run after it has stored its log.
    await logged('after');
    const left = readdirSync(namespaceFolder());
    expect(left).to.include.members(['another-clusters', there.metadata.uid, young.metadata.uid]);
    expect(left).to.not.include.members([noPod.metadata.uid, noOperator.metadata.uid]);
  });

  it('go through a pod made for them when their Runtime was deleted before them', async function () {
    // Of $KUBEBUILDER_ASSETS, where nobody takes away the pods of a Runtime that is gone.
    if (!hasControllers) return this.skip();
    const run = await logged('orphan');
    await answer(plane.kube.delete(runtimes, { namespace: 'default', name: 'bash' }));
    await plane.whenNoPods();
    await remove('orphan');
    await until(namespaceFolder(), () => !existsSync(folderOf(run.metadata.uid)));
    expect(readdirSync(namespaceFolder())).to.include('another-clusters');
  });
});
