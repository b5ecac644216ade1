#!/usr/bin/env node
/**
 * The package's bin. Runs dist/krt.js; in a checkout it first rebuilds dist/ when a source is newer than it,
 * so that `npx krt` needs no build step.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bundle = join(root, 'dist/krt.js');

/** Newest modification time below a folder, milliseconds. */
const newest = (folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);

const isCheckout = existsSync(join(root, 'streams'));
if (
  isCheckout &&
  (!existsSync(bundle) ||
    newest(join(root, 'src')) > statSync(bundle).mtimeMs ||
    newest(join(root, 'streams')) > statSync(bundle).mtimeMs)
) {
  const { build } = await import('./build.js');
  await build();
}
await import(bundle);
