/**
 * Bundles what the images hold into images/programs/<program>/, which is the context of images/Dockerfile:
 * `npm run build:images`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.js';

const folder = fileURLToPath(new URL('../../images/programs', import.meta.url));

for (const program of ['controller', 'krt', 'runtimed', 'bash-runtime']) {
  await build(join(folder, program), [program], { sourcemap: false });
  // Bundles are ES modules.
  writeFileSync(join(folder, program, 'package.json'), '{"type":"module"}\n');
}
