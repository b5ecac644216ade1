/** `krt version` */
import { createRequire } from 'node:module';

import { formatFlag, type Input } from './input.js';
import type { Verb } from './krt.js';
import { formatObject } from './output/print.js';

/** Version of this package; package.json stands one folder above dist/ and two above src/cli. */
const ownVersion = (): string => {
  const require = createRequire(import.meta.url);
  for (const place of ['../package.json', '../../package.json'])
    try {
      const { name, version } = require(place) as Readonly<{ name?: unknown; version?: unknown }>;
      if (name === 'kruntimes' && typeof version === 'string') return version;
    } catch {
      // Not here: look at the next place.
    }
  return 'unknown';
};

/** What `-o json` prints. */
export type Version = Readonly<{ version: string; node: string; platform: string }>;

export const readVersion = (): Version => ({
  version: ownVersion(),
  node: process.versions.node,
  platform: `${process.platform}/${process.arch}`,
});

/** Errors: Usage. */
export const parse = (input: Input) => formatFlag(input);

export const version: Verb = async (input, { terminal }) => {
  const format = parse(input);
  const read = readVersion();
  terminal.out(
    format.kind === 'table'
      ? `krt ${read.version} (node ${read.node}, ${read.platform})\n`
      : format.kind === 'name'
        ? `${read.version}\n`
        : await formatObject(format, read),
  );
  return 0;
};
