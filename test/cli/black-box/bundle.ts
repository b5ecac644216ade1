/** The programs as they ship, built once per test run into a folder of their own. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
let bundle: string | undefined;

/** Folder of krt.js, apiserver.js and the others. */
export const bundles = (): string => {
  if (bundle) return bundle;
  const folder = mkdtempSync(join(tmpdir(), 'krt-bundle-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Programs look for these beside dist/.
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(root, 'crds'), join(folder, 'crds'));
  execFileSync(process.execPath, [join(root, 'src/main/build.js'), '--outdir', join(folder, 'dist')]);
  bundle = join(folder, 'dist');
  return bundle;
};
