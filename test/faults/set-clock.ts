/**
 * Built into the programs of a plane with clocks to be set (clocked-programs.ts): the wall clock of this process is off
 * by what the file `clocks.json` beside the programs says of its program, from the moment at which that is written on.
 * Timers and performance.now() are as they were: a clock that is set does not change how fast time goes by.
 */
import { readFileSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const program = process.argv[1] ?? '';
const folder = dirname(program);
const name = basename(program, '.js');

let offsetMs = 0;
const read = (): void => {
  try {
    const offsets = JSON.parse(readFileSync(join(folder, 'clocks.json'), 'utf8')) as Record<string, number>;
    offsetMs = offsets[name] ?? offsets['*'] ?? 0;
  } catch {
    // Just being written: the next event says so.
  }
};
read();
watch(folder, { persistent: false }, (_, file) => {
  if (file === 'clocks.json') read();
});

const realNow = Date.now.bind(Date);
Date.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(Date, {
  construct: (target, given: ConstructorParameters<typeof Date> | []) =>
    given.length === 0 ? new target(realNow() + offsetMs) : new target(...given),
  apply: () => new Date().toString(),
});
