/**
 * Bundles every program into dist/: `node src/main/build.js`. `--outdir DIR NAME...` bundles some of them elsewhere.
 *
 * Bundles, because npm ignores a published package's `overrides` (client-node would get an undici that does not
 * load on Node 20) and because linking a thousand small files is most of what krt's start would cost.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { programs } from './programs.js';

/** Programs that are cut at their lazy imports. */
const CUT = ['krt', 'runtimed'];

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * commander starts commands of other files through node:child_process, which krt has none of; loading it would be a
 * tenth of `krt version`.
 */
const withoutSubprocesses = {
  name: 'commander-without-subprocesses',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[\\/]node_modules[\\/]commander[\\/]/.test(importer)
        ? { path: 'nothing', namespace: 'nothing' }
        : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({ contents: 'export {}' }));
  },
};

/** File in dist/ that holds client-node for the programs that are not cut. */
const PLUGINS = 'client-node';

/**
 * Where a program is one file, its lazy import of client-node goes to a file beside it: six megabytes of source that a
 * process holds from its start on, for credential plugins that few kubeconfigs name.
 */
const clientNodeApart = {
  name: 'client-node-apart',
  setup: ({ onResolve }) => {
    onResolve({ filter: /^@kubernetes\/client-node$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: `./${PLUGINS}.js`, external: true } : undefined,
    );
  },
};

/** Files below src/cli that others there import lazily: `import('./x.js')`. */
const lazyFiles = () => {
  const folder = join(root, 'src/cli');
  return new Set(
    readdirSync(folder, { recursive: true })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name))
      .flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(/\bimport\('(\.[^']*)\.js'\)/g)].map(([, path]) =>
          join(dirname(file), `${path}.ts`),
        ),
      ),
  );
};

/**
 * Files that krt's first file needs are one chunk. esbuild makes one for each set of entries that reach a file, and a
 * lazy import is an entry: so all of them are told to reach all that the first one reaches. Each file fewer is most of
 * a millisecond of krt's start.
 */
const oneFirstFile = (first) => ({
  name: 'one-first-file',
  setup: ({ onLoad }) => {
    const lazy = lazyFiles();
    onLoad({ filter: /\.ts$/ }, ({ path }) =>
      lazy.has(path)
        ? { contents: `${readFileSync(path, 'utf8')}\nimport ${JSON.stringify(first)};\n`, loader: 'ts' }
        : undefined,
    );
  },
});

/**
 * Builds the named programs (default: all) whose entry exists; rejects when one does not compile. Without source maps,
 * which name the way from outdir to the sources, the same sources give the same bytes in any folder. `inject` are files
 * that run in each program before its own.
 */
export const build = async (
  outdir = join(root, 'dist'),
  names = Object.keys(programs),
  { sourcemap = 'linked', inject = [] } = {},
) => {
  const { build: bundle } = await import('esbuild');
  const entries = Object.entries(programs).filter(
    ([name, entry]) => names.includes(name) && existsSync(join(root, entry)),
  );
  const bundleAll = (entryPoints, splitting, plugins = []) =>
    bundle({
      absWorkingDir: root,
      inject,
      entryPoints: Object.fromEntries(entryPoints),
      outdir,
      bundle: true,
      splitting,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      mainFields: ['module', 'main'],
      // rxjs offers node its CommonJS build alone, which cannot be shaken: 250 kB and 30 ms more at krt's start.
      // The same for the deep imports of fp-ts, of which io-ts would else bring a second copy.
      alias: { rxjs: join(root, 'node_modules/rxjs/dist/esm/index.js'), 'fp-ts/lib': 'fp-ts/es6' },
      minifySyntax: true,
      minifyWhitespace: true,
      sourcemap,
      sourcesContent: false,
      legalComments: 'none',
      logLevel: 'warning',
      external: ['dtrace-provider', 'source-map-support'],
      plugins: [withoutSubprocesses, ...plugins],
      // CommonJS dependencies inside an ES module bundle still call require for node's own modules.
      banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    });
  const whole = entries.filter(([name]) => !CUT.includes(name));
  rmSync(outdir, { recursive: true, force: true });
  await Promise.all([
    // Only krt and runtimed are cut at their lazy imports: krt for its start, runtimed so that one without an object
    // store stays small. Cutting does not keep the order of modules that run code when they are loaded
    // (reflect-metadata before @peculiar/x509), which the other servers need. Each by itself: what two programs share
    // would be files of their own, and every file that krt reads at its start costs a millisecond.
    ...entries
      .filter(([name]) => CUT.includes(name))
      .map(([name, entry]) =>
        bundleAll(
          [[name, entry]],
          true,
          name === 'krt' ? [oneFirstFile(join(root, 'src/cli/first.ts'))] : [],
        ),
      ),
    bundleAll(whole, false, [clientNodeApart]),
    ...(whole.length === 0 ? [] : [bundleAll([[PLUGINS, '@kubernetes/client-node']], false)]),
  ]);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: { outdir: { type: 'string' }, inject: { type: 'string', multiple: true } },
    allowPositionals: true,
  });
  const { inject = [] } = values;
  await build(values.outdir, positionals.length > 0 ? positionals : undefined, { inject });
}
