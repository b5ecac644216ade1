/** `--data-dir` */
import { resolve } from 'node:path';

import { defaultDataDir } from '../../embedded/control-plane/folder.js';
import { usage } from '../failure.js';
import { type Input, textFlag } from '../input.js';

/** The absolute path of the data folder. Errors: Usage for an empty one. */
export const dataDirFlag = (input: Input): string => {
  const dir = textFlag(input, 'dataDir');
  if (dir === '') throw usage('--data-dir needs the path of a folder');
  return dir === undefined ? defaultDataDir() : resolve(dir);
};

/** What to add to a command so that it means this folder; '' for the default one. */
export const dataDirHint = (dataDir: string): string =>
  dataDir === defaultDataDir() ? '' : ` --data-dir ${dataDir}`;
