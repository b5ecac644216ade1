/**
 * npm run test:model -- --seconds N --seed S: the checker for as long as one likes. All executions with one deviation,
 * of every small story; then those with two, and walks, turn by turn. A finding is shrunk, printed, and the exit code 1.
 */

import { flagsOf } from '../support/command-line.js';
import { describeFound, exhaust, shrink, walk } from './explore.js';
import { LARGE, SMALL } from './stories.js';

const USAGE = `Usage: npm run test:model -- [--seconds N] [--seed S]

The checker of the session protocol for as long as one likes (default 60 s, seed 1): all executions with one deviation, of
every small story; then those with two, and walks, turn by turn. A finding is shrunk and printed, exit code 1.
`;

const values = flagsOf(USAGE, {
  seconds: { type: 'string', default: '60' },
  seed: { type: 'string', default: '1' },
});
const untilMs = performance.now() + Number(values.seconds) * 1000;
const hasTime = (): boolean => performance.now() < untilMs;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

let findings = 0;
say('story        deviations  executions  met before  complete');
for (const deviations of [1, 2])
  for (const story of SMALL) {
    // The time that is left for pairs is shared with the walks.
    const endMs =
      deviations === 1 ? untilMs : performance.now() + (untilMs - performance.now()) / (SMALL.length + 3);
    const explored = exhaust(story, deviations, () => hasTime() && performance.now() < endMs);
    const { executions, pruned, isComplete, found } = explored;
    say(
      `${story.name.padEnd(13)}${String(deviations).padEnd(12)}${String(executions).padEnd(12)}${String(pruned).padEnd(12)}${isComplete ? 'yes' : 'no'}`,
    );
    if (!found) continue;
    findings += 1;
    say(describeFound(shrink(story, found)));
  }
const first = Number(values.seed);
let walks = 0;
for (let seed = first; hasTime(); seed += 1) {
  const story = [...LARGE, ...SMALL][seed % (LARGE.length + SMALL.length)];
  if (!story) continue;
  walks += 1;
  const { found } = walk(story, seed);
  if (!found) continue;
  findings += 1;
  say(`seed ${seed}: ${describeFound(shrink(story, found))}`);
}
say(`${walks} walks, seeds ${first} to ${first + walks - 1}; ${findings} findings`);
process.exit(findings > 0 ? 1 : 0);
