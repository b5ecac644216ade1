/**
 * A worker of mocha (`--parallel`) that ends in the middle of a file is told of with that file, which mocha knows and keeps to
 * itself. Loaded by .mocharc.yml.
 */
import { relative } from 'node:path';

/** In mocha's own process, on its runner. */
export function mochaGlobalSetup(this: Mocha.Runner): void {
  this.on('fail', (_test, error: Error & Readonly<{ file?: unknown }>) => {
    // An error of a test is told of under the name of the test.
    if (typeof error.file !== 'string' || !error.message.startsWith('Workerpool Worker')) return;
    error.message = `in ${relative('.', error.file)}: ${error.message}`;
    error.stack = error.message;
  });
}
