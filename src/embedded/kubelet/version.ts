/** The version of this package, from its package.json beside dist/. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { programsFolder } from './images.js';

const Manifest = t.type({ version: t.string });

export const packageVersion = (): string => {
  try {
    const manifest = Manifest.decode(
      JSON.parse(readFileSync(join(programsFolder(), '../package.json'), 'utf8')),
    );
    return E.isRight(manifest) ? manifest.right.version : 'unknown';
  } catch {
    return 'unknown';
  }
};
