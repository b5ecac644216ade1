/** `krt version` */
import { version as ownVersion } from '../model/version.js';
import { formatFlag, type Input } from './input.js';
import type { Verb } from './krt.js';
import { formatObject } from './output/print.js';

/** What `-o json` prints. */
export type Version = Readonly<{ version: string; node: string; platform: string }>;

export const readVersion = (): Version => ({
  version: ownVersion,
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
