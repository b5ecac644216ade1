/**
 * `npm run release`: all that a release publishes, below dist/release (docs/release.md). The same sources, lock file and
 * npm give the same bytes. `--outdir DIR` writes elsewhere, `--platform linux-x64` (repeated) makes executables for
 * those alone, `--no-executables` none.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { build } from '../build.js';
import { filesBelow, writeArchive } from './archive.js';
import { billOfMaterials } from './bill-of-materials.js';
import { fetchNode, packPrograms, writeExecutable } from './executable.js';
import { platforms } from './platforms.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const at = (...path) => join(root, ...path);
const { values: flags } = parseArgs({
  options: {
    outdir: { type: 'string', default: at('dist/release') },
    platform: { type: 'string', multiple: true, default: Object.keys(platforms) },
    'no-executables': { type: 'boolean', default: false },
  },
});
const manifest = JSON.parse(readFileSync(at('package.json'), 'utf8'));
const { version } = manifest;

/** The commit's time, so that two builds of it agree; SOURCE_DATE_EPOCH wins, as everywhere. */
const date = new Date(
  1000 *
    Number(
      process.env.SOURCE_DATE_EPOCH ??
        execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }),
    ),
);

/** The npm package as a folder: bundles need no dependencies, so it has none. */
const stagePackage = async (stage) => {
  await build(join(stage, 'dist'), undefined, { sourcemap: false });
  for (const name of ['crds', 'charts', 'LICENSE', 'README.md', 'CHANGELOG.md'])
    cpSync(at(name), join(stage, name), { recursive: true });
  mkdirSync(join(stage, 'src/main'), { recursive: true });
  cpSync(at('src/main/krt.js'), join(stage, 'src/main/krt.js'));
  const { name, description, license, type, engines, bin } = manifest;
  const files = ['dist', 'crds', 'charts', 'src/main'];
  writeFileSync(
    join(stage, 'package.json'),
    `${JSON.stringify({ name, version, description, license, type, engines, bin, files }, null, 2)}\n`,
  );
};

/** helm's own package command stamps the time of day on each file. */
const packChart = (name) => {
  const files = filesBelow(at('charts', name)).filter((file) => file !== '.helmignore');
  const first = ['Chart.yaml', ...files.filter((file) => file !== 'Chart.yaml')];
  return writeArchive(
    join(flags.outdir, `${name}-${version}.tgz`),
    first.map((file) => [`${name}/${file}`, at('charts', name, file)]),
    date,
  );
};

const packImages = () => {
  execFileSync(process.execPath, [at('src/main/build-images.js')], { stdio: 'inherit' });
  return writeArchive(
    join(flags.outdir, `kruntimes-images-${version}.tar.gz`),
    filesBelow(at('images')).map((file) => [`kruntimes-images-${version}/${file}`, at('images', file)]),
    date,
  );
};

const makeExecutables = async (stage, folder) => {
  const nodes = new Map(flags.platform.map((platform) => [platform, fetchNode(platform, folder)]));
  const here = `${process.platform}-${process.arch}`;
  const host = nodes.get(here) ?? fetchNode(here, folder);
  const programs = packPrograms(stage);
  for (const [platform, node] of nodes) {
    const path = join(folder, 'krt');
    await writeExecutable({ programs, version, node, host, folder, path });
    const name = `krt-${version}-${platform}`;
    await writeArchive(
      join(flags.outdir, `${name}.tar.gz`),
      [
        [`${name}/krt`, path],
        [`${name}/LICENSE`, at('LICENSE')],
      ],
      date,
    );
    rmSync(path);
  }
};

const folder = mkdtempSync(join(tmpdir(), 'krt-release-'));
try {
  rmSync(flags.outdir, { recursive: true, force: true });
  mkdirSync(flags.outdir, { recursive: true });
  const stage = join(folder, 'package');
  await stagePackage(stage);
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder, stage], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // Its own name is the chart's.
  cpSync(join(folder, `kruntimes-${version}.tgz`), join(flags.outdir, `kruntimes-npm-${version}.tgz`));
  await packChart('kruntimes');
  await packChart('kruntimes-runtimes');
  await packImages();
  writeFileSync(join(flags.outdir, `kruntimes-${version}.cdx.json`), billOfMaterials(root, date));
  if (!flags['no-executables']) await makeExecutables(stage, folder);
  const sums = readdirSync(flags.outdir)
    .sort()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(flags.outdir, file)))
          .digest('hex')}  ${file}\n`,
    );
  writeFileSync(join(flags.outdir, 'SHA256SUMS'), sums.join(''));
  process.stdout.write(sums.join(''));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
