/** Bundles the control plane's programs for a test, in a folder of its own below dist/. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build, stop } from 'esbuild';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export type Programs = Readonly<{ folder: string; remove: () => void }>;

/** As src/main/build.js bundles them, but for minification, and only these. */
export const bundlePrograms = async (): Promise<Programs> => {
  mkdirSync(join(root, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(root, 'dist', 'test-'));
  await build({
    absWorkingDir: root,
    entryPoints: {
      apiserver: 'src/embedded/api/main.ts',
      kubelet: 'src/embedded/kubelet/main.ts',
      controller: 'src/controller/main.ts',
      'control-plane': 'src/embedded/control-plane/main.ts',
    },
    outdir: folder,
    bundle: true,
    splitting: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    logLevel: 'warning',
    external: ['dtrace-provider', 'source-map-support'],
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
  });
  // esbuild's own process, which else stays as long as this one.
  await stop();
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
};
