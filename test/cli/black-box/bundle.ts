/** krt as it ships, built once per test run into a folder of its own. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let bundle: string | undefined;

/** Path of the bundled krt.js. */
export const krtBundle = (): string => {
  if (bundle) return bundle;
  const folder = mkdtempSync(join(tmpdir(), 'krt-bundle-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // The bundle reads its version from the package.json beside dist/.
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  execFileSync(process.execPath, [join(root, 'src/main/build.js'), '--outdir', join(folder, 'dist'), 'krt']);
  bundle = join(folder, 'dist/krt.js');
  return bundle;
};
