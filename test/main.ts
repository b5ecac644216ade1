/**
 * `npm test`: all test files, or those that are named as `test/...`, files or folders. Other arguments are mocha's:
 * `npm test -- test/decide test/cli/argv.test.ts --grep oldest`.
 */
import { spawnSync } from 'node:child_process';

/** Its fork bombs take the whole machine, so nothing runs beside it. */
const ALONE = 'test/e2e/hostile.test.ts';

const mocha = (...args: ReadonlyArray<string>): number =>
  spawnSync('mocha', args, { stdio: 'inherit' }).status ?? 1;

const given = process.argv.slice(2);
const isPath = (arg: string): boolean => /^(\.\/)?test\//.test(arg);
const paths = given
  .filter(isPath)
  .map((path) => (path.endsWith('.ts') ? path : `${path.replace(/\/$/, '')}/**/*.test.ts`));
const options = given.filter((arg) => !isPath(arg));

process.exitCode =
  paths.length > 0
    ? mocha(...options, ...paths)
    : Math.max(
        mocha(...options, ALONE),
        mocha(...options, '--parallel', '--jobs', '2', '--ignore', ALONE, 'test/**/*.test.ts'),
      );
