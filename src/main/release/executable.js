/** krt as one file that needs no node: node itself, with the programs inside (Node's single executable applications). */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { inject } from 'postject';

import { filesBelow } from './archive.js';
import { nodeVersion, platforms } from './platforms.js';

/** Runs a program that is an ES module: a script inside an executable cannot. */
const BOOT = `const { pathToFileURL } = require('node:url');
import(pathToFileURL(process.argv[1]).href).catch((error) => {
  console.error(error);
  process.exit(1);
});
`;

/** Path of the platform's node, from the npm registry by its checksum. */
export const fetchNode = (platform, folder) => {
  const { package: name, integrity } = platforms[platform];
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', place, `${name}@${nodeVersion}`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const tarball = join(place, filename);
  const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  if (found !== integrity) throw new Error(`${name}@${nodeVersion} is not what it was: ${found}`);
  execFileSync('tar', ['-xzf', tarball, '-C', place]);
  return join(place, 'package/bin/node');
};

/** What is inside: the bundles and the CRDs, compressed. */
export const packPrograms = (stage) => {
  const files = filesBelow(stage).filter((name) => /^(dist|crds)\//.test(name));
  const content = Object.fromEntries(files.map((name) => [name, readFileSync(join(stage, name), 'utf8')]));
  return brotliCompressSync(
    JSON.stringify({ ...content, 'boot.cjs': BOOT, 'package.json': '{"type":"module"}\n' }),
    { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } },
  );
};

/** Writes the executable. `host` is a node of the same version that runs here. */
export const writeExecutable = async ({ programs, version, node, host, folder, path }) => {
  const main = fileURLToPath(new URL('sea-main.cjs', import.meta.url));
  const at = (name) => join(folder, name);
  const sum = createHash('sha256').update(programs).digest('hex').slice(0, 16);
  writeFileSync(at('programs'), programs);
  writeFileSync(at('id'), `${version}-${sum}`);
  writeFileSync(
    at('sea.json'),
    JSON.stringify({
      main,
      output: at('sea.blob'),
      disableExperimentalSEAWarning: true,
      assets: { id: at('id'), programs: at('programs') },
    }),
  );
  execFileSync(host, ['--experimental-sea-config', at('sea.json')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  cpSync(node, path);
  chmodSync(path, 0o755);
  await inject(path, 'NODE_SEA_BLOB', readFileSync(at('sea.blob')), {
    sentinelFuse: 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
  });
};
