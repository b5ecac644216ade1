/**
 * The one node that all files of this folder test on: started by the first that asks, stopped after the last. Where
 * npm run test:cluster has not said what it is made of, its tests are skipped.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type NodeLevel, startNodeLevel } from './node-level.js';

let started: Promise<NodeLevel> | undefined;
let folder: string | undefined;

const [programs = '', root = '', images = ''] = (process.env.CLUSTER_NODE ?? '').split(':');

/** Whether there is one to be had. */
export const hasNode = process.env.CLUSTER_NODE !== undefined;

/** Whether it has this image. */
export const hasImage = (name: string): boolean => existsSync(join(images, `${name}.tar`));

/** The node, started if it is not. */
export const theNode = (): Promise<NodeLevel> => {
  if (started === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'krt-node-'));
    started = startNodeLevel({ programs, root, images }, folder);
  }
  return started;
};

after(async function () {
  this.timeout(60_000);
  await started?.then(({ stop }) => stop()).catch(() => undefined);
  if (folder !== undefined && process.env.CLUSTER_KEEP === undefined)
    rmSync(folder, { recursive: true, force: true });
});
