/**
 * Bundles every program into dist/: `node src/main/build.js`.
 *
 * Bundles, because npm ignores a published package's `overrides` (client-node would get an undici that does not
 * load on Node 20) and because linking a thousand small files is most of what krt's start would cost.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programs } from './programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds all programs whose entry exists; rejects when one does not compile. */
export const build = async () => {
  const { build: bundle } = await import('esbuild');
  const entries = Object.entries(programs).filter(([, entry]) => existsSync(join(root, entry)));
  const bundleAll = (entryPoints, splitting) =>
    bundle({
      absWorkingDir: root,
      entryPoints: Object.fromEntries(entryPoints),
      outdir: 'dist',
      bundle: true,
      splitting,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      mainFields: ['module', 'main'],
      // rxjs offers node its CommonJS build alone, which cannot be shaken: 250 kB and 30 ms more at krt's start.
      alias: { rxjs: join(root, 'node_modules/rxjs/dist/esm/index.js') },
      minifySyntax: true,
      minifyWhitespace: true,
      sourcemap: 'linked',
      sourcesContent: false,
      legalComments: 'none',
      logLevel: 'warning',
      external: ['dtrace-provider', 'source-map-support'],
      // CommonJS dependencies inside an ES module bundle still call require for node's own modules.
      banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    });
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await Promise.all([
    // Only krt is cut at its lazy imports, for its start. Cutting does not keep the order of modules that run code
    // when they are loaded (reflect-metadata before @peculiar/x509), which the servers need.
    bundleAll(
      entries.filter(([name]) => name === 'krt'),
      true,
    ),
    bundleAll(
      entries.filter(([name]) => name !== 'krt'),
      false,
    ),
  ]);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
