/**
 * A Run that races runtimed for the folders they share.
 *
 * Whatever folder or file of the shared volume a Run replaces by a link to another folder, and at whatever call of the
 * file system runtimed is at that moment: nothing there is changed, and nothing there is handed out as a result.
 *
 * The race is lost on purpose: an attempt is gone through once for each call, with the link put there just before it.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import type { AttemptRef } from '../../../src/decide/sidecar/attempt.js';
import { type Folders, ownSteps, placesOf } from '../../../src/decide/sidecar/environment.js';
import { entriesOf, openFolder } from '../../../src/io/artifacts/open-below.js';
import { AttemptFiles } from '../../../src/io/workspace/attempt-files.js';
import { cleanWorkspace } from '../../../src/io/workspace/clean.js';
import { collectOutputs } from '../../../src/io/workspace/collect.js';
import type { RunUid } from '../../../src/model/ids.js';

const CALLS = [
  'openSync',
  'lstatSync',
  'mkdirSync',
  'readdirSync',
  'renameSync',
  'rmdirSync',
  'unlinkSync',
  'writeFileSync',
  'ftruncateSync',
] as const;
const PROMISED = [
  'open',
  'readdir',
  'unlink',
  'rmdir',
  'rename',
  'mkdir',
  'rm',
  'chmod',
  'symlink',
  'lstat',
] as const;

const real = { ...fs };
const realPromises = { ...promises };

/** Calls `before` ahead of every call of the file system, with its name and arguments, until it is put back. */
const intercept = (before: (name: string, args: ReadonlyArray<unknown>) => void): (() => void) => {
  const wrap = (target: object, source: object, names: ReadonlyArray<string>): void => {
    for (const name of names) {
      const call = Reflect.get(source, name) as (...args: unknown[]) => unknown;
      Reflect.set(target, name, (...args: unknown[]) => {
        before(name, args);
        return call(...args);
      });
    }
  };
  wrap(fs, real, CALLS);
  wrap(promises, realPromises, PROMISED);
  syncBuiltinESMExports();
  return () => {
    for (const name of CALLS) Reflect.set(fs, name, real[name]);
    for (const name of PROMISED) Reflect.set(promises, name, realPromises[name]);
    syncBuiltinESMExports();
  };
};

const SECRET = 'stolen=of another\n';

/** Every path below with what it is, what is in it, and its rights. */
const pictureOf = (root: string): ReadonlyArray<string> =>
  real
    .readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { mode } = real.lstatSync(path);
      return `${relative(root, path)} ${mode.toString(8)} ${entry.isFile() ? real.readFileSync(path, 'utf8') : ''}`;
    })
    .sort();

const refOf = (uid: string): AttemptRef => ({ namespace: 'n', name: uid, uid: uid as RunUid, attempt: 1 });

type Scene = Readonly<{ folders: Folders; elsewhere: string; files: AttemptFiles }>;

describe('a Run that replaces a folder by a link', () => {
  let base: string;
  beforeEach(() => {
    // In memory where that is possible: it is some ten thousand small files.
    base = real.mkdtempSync(join(real.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'krt-races-'));
  });
  afterEach(() => real.rmSync(base, { recursive: true, force: true }));

  /** A pod, beside a folder that has everything that is looked for in the shared one. */
  const setScene = async (name: string): Promise<Scene> => {
    const root = join(base, name);
    const folders = { work: join(root, 'work'), state: join(root, 'state') };
    const elsewhere = join(root, 'elsewhere');
    for (const folder of ['', 'a', '1', 'deep', 'stock-pod-own']) {
      real.mkdirSync(join(elsewhere, folder, 'artifacts'), { recursive: true });
      for (const file of ['script', 'outputs', 'artifacts/result'])
        real.writeFileSync(join(elsewhere, folder, file), SECRET);
    }
    return { folders, elsewhere, files: await AttemptFiles.open(folders, 'pod') };
  };

  const quietly = (call: () => unknown): Promise<void> =>
    Promise.resolve()
      .then(call)
      .then(
        () => undefined,
        () => undefined,
      );

  const outputsOf = async (folders: Folders, ref: AttemptRef): Promise<string> =>
    JSON.stringify(await collectOutputs(folders, ref));

  const artifactsOf = async ({ work }: Folders, ref: AttemptRef): Promise<ReadonlyArray<string>> => {
    try {
      const folder = await openFolder(work, [...ownSteps(ref), 'artifacts']);
      return await entriesOf(folder).finally(() => folder.handle.close());
    } catch {
      return [];
    }
  };

  /** Two attempts one after the other, the second on what the first has left; the first leaves much, or little. */
  const story = async ({ folders, files }: Scene, isMuch: boolean): Promise<ReadonlyArray<string>> => {
    const results: string[] = [];
    for (const uid of ['a', 'b']) {
      const ref = refOf(uid);
      const { workspace } = placesOf(folders, ref);
      await quietly(() => files.writeRecord(ref, ''));
      await quietly(() => files.makeOwn(ref));
      if (isMuch) {
        await quietly(() => files.makeWorkspace(ref, undefined));
        const signal = new AbortController().signal;
        const write = async (folder: string): Promise<E.Either<never, string>> => {
          real.mkdirSync(join(folder, 'deep', 'artifacts'), { recursive: true });
          for (let i = 0; i < 17; i += 1) real.writeFileSync(join(folder, 'deep', `f${i}`), '');
          for (const name of ['left', 'deep/script', 'deep/artifacts/result'])
            real.writeFileSync(join(folder, name), 'ours');
          return E.right('commit');
        };
        await quietly(() => files.fillWorkspace(ref, write, signal));
      } else {
        await quietly(() => files.makeWorkspace(ref, 'echo hello'));
        const isThere = real.lstatSync(workspace, { throwIfNoEntry: false })?.isDirectory();
        if (isThere) real.writeFileSync(join(workspace, 'left'), 'x');
      }
      results.push(await outputsOf(folders, ref), ...(await artifactsOf(folders, ref)));
      await quietly(() => cleanWorkspace(ref, files));
    }
    await quietly(() => files.clear());
    return results;
  };

  /** What a Run may replace, below the shared folder. */
  const OWNS = ['.kruntimes', '.kruntimes/a', '.kruntimes/a/artifacts', '.kruntimes/stock-pod-own/1'];
  const LITTLE = ['a', 'a/script', '.kruntimes/stock-pod-workspaces/1', ...OWNS];
  const MUCH = ['a', 'a/deep', 'a/deep/artifacts', '.kruntimes/a'];

  /** Between volumes nothing can be renamed. */
  const refuseRename = (name: string, args: ReadonlyArray<unknown>): void => {
    if (name === 'rename' && String(args[0]).includes('incoming'))
      throw Object.assign(new Error('cross-device link'), { code: 'EXDEV' });
  };

  for (const [what, isMuch, isAcross, targets] of [
    ['that left little', false, false, LITTLE],
    ['that left much, from a source', true, false, MUCH],
    ['that left much, from a source on another volume', true, true, MUCH],
  ] as const)
    for (const [index, target] of targets.entries())
      it(`changes nothing there and gets nothing from there: an attempt ${what}, and ${target}`, async () => {
        let planted = 0;
        for (let at = 0, isOver = false; !isOver; at += 1) {
          const name = `${index}-${at}`;
          const scene = await setScene(name);
          const path = join(scene.folders.work, target);
          const before = pictureOf(scene.elsewhere);
          // Only calls count at which there is something to replace.
          let calls = 0;
          const restore = intercept((call, args) => {
            if (calls <= at && real.lstatSync(path, { throwIfNoEntry: false })) {
              if (calls === at) {
                real.renameSync(path, join(scene.folders.work, 'away'));
                real.symlinkSync(scene.elsewhere, path);
                planted += 1;
              }
              calls += 1;
            }
            if (isAcross) refuseRename(call, args);
          });
          const results = await story(scene, isMuch).finally(restore);
          isOver = calls <= at;
          const moment = `replaced before call ${at}`;
          expect(pictureOf(scene.elsewhere), moment).to.deep.equal(before);
          expect(results.join(' '), moment).to.not.contain('stolen').and.not.contain('result');
          real.rmSync(join(base, name), { recursive: true, force: true });
        }
        expect(planted).to.be.greaterThan(5);
      });
});
