/**
 * npm run test:faults -- [--seed S] [--only TEXT] [--situation NAME] [--long]: every fault in every situation of a Run,
 * on a control plane of real processes. A table at the end; the exit code is 1 where a promise was broken.
 */
import { parseArgs } from 'node:util';

import { seeded } from '../model-check/explore.js';
import { CAPACITY, type Cell, playCell, REPLICAS, SITUATIONS } from './cell.js';
import { FAULTS, LONG_FAULTS } from './faults.js';
import { startFaultyPlane } from './plane.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    situation: { type: 'string', default: '' },
    long: { type: 'boolean', default: false },
  },
});
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const random = seeded(Number(values.seed));
const faults = [...FAULTS, ...(values.long ? LONG_FAULTS : [])].filter(({ name }) =>
  name.includes(values.only),
);
const situations = SITUATIONS.filter((name) => name.startsWith(values.situation));
say(`seed ${values.seed}, ${faults.length} faults, ${situations.length} situations`);
const plane = await startFaultyPlane(REPLICAS, CAPACITY);
const cells: Cell[] = [];
try {
  for (const fault of faults)
    for (const situation of situations) {
      const cell = await playCell(plane, fault, situation, random);
      cells.push(cell);
      say(
        `${fault.name.padEnd(45)} ${situation.padEnd(11)} ${cell.broken.length === 0 ? 'ok' : 'BROKEN'} ${cell.afterMs} ms, ${cell.attempts} attempts`,
      );
      for (const what of cell.broken) say(`    ${what}`);
    }
} finally {
  await plane.stop();
}

say(
  `\n${'seconds from the fault’s end to the last Run’s'.padEnd(45)} ${situations.map((s) => s.padStart(10)).join(' ')}`,
);
for (const { name } of faults) {
  const row = situations.map((situation) => {
    const cell = cells.find((c) => c.fault === name && c.situation === situation);
    const text = cell === undefined ? '-' : (cell.afterMs / 1000).toFixed(1);
    return `${text}${cell && cell.broken.length > 0 ? '!' : ''}`.padStart(10);
  });
  say(`${name.padEnd(45)} ${row.join(' ')}`);
}
const broken = cells.filter((cell) => cell.broken.length > 0).length;
say(`${cells.length} cells, ${broken} broken`);
process.exit(broken > 0 ? 1 : 0);
