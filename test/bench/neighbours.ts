/** What do good Runs feel of one that means harm? See USAGE. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { runtimes } from '../../src/model/resources.js';
import { answer, startControlPlane } from '../e2e/control-plane.js';
import { flagsOf } from '../support/command-line.js';
import { runtimeManifest } from './plane.js';
import { openRuns } from './runs.js';
import { summary } from './stats.js';

const USAGE = `Usage: node --import tsx test/bench/neighbours.ts [flags]

Short Runs, one at a time, in turn on the pod of a hostile one and on a pod of another Runtime, each alone and beside it,
in rounds: the ratio is within one run. Every hostile Run is bounded, so that the machine survives when nothing else
stops it.

  --rounds N       of each hostile Run (default 5)
  --good N         good Runs on each pod in a round (default 30)
  --warm-up N      Runs before the first round (default 1000)
  --only NAME,NAME hostile Runs whose name holds one of these
`;

const values = flagsOf(USAGE, {
  rounds: { type: 'string', default: '5' },
  good: { type: 'string', default: '30' },
  'warm-up': { type: 'string', default: '1000' },
  only: { type: 'string' },
});
const ROUNDS = Number(values.rounds);
const GOOD = Number(values.good);
const WARM_UP = Number(values['warm-up']);

/** Its script goes on until it is cancelled, or is begun again whenever it has ended. */
const HOSTILE: Readonly<Record<string, string>> = {
  'nothing (a second time alone)': 'sleep 1000',
  'fork bomb': 'b() { (($1 > 0)) || exec sleep 100; b $(($1 - 1)) & b $(($1 - 1)); }; b 11',
  'fork bomb in sessions of their own':
    'set -- "$@" 11; (($1)) || exec sleep 100; setsid bash script $(($1 - 1)) & exec bash script $(($1 - 1))',
  '500 processes that fork for ever': 'for i in {1..500}; do (while sleep 0.5; do :; done) & done; wait',
  'output without end': 'exec yes "$(printf %080d 0)"',
  'empty lines without end': 'exec yes ""',
  'closed stdio, staying': 'exec >&- 2>&- <&-; sleep 1000',
  '100,000 files': 'seq 100000 | xargs touch',
  'a folder in a folder, 5,000 deep': 'for i in {1..5000}; do mkdir d; cd d; done',
  '256 MB written and removed': 'while :; do head -c 268435456 /dev/zero > big; rm big; done',
  'outputs written while they are read':
    '(while :; do echo "k=$RANDOM" >> "$KRUNTIME_OUTPUTS"; done) & sleep 0.05',
  'one busy loop': 'while :; do :; done',
  'eight busy loops': 'for i in {1..8}; do (while :; do :; done) & done; wait',
  'eight busy loops in sessions of their own':
    'for i in {1..8}; do setsid bash -c "while :; do :; done" & done; wait',
};

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
const good = { source: { inline: 'echo "n=1" >> "$KRUNTIME_OUTPUTS"' }, entrypoint: 'script' };

const plane = await startControlPlane({ replicas: 1 });
try {
  await answer(
    plane.kube.create(
      runtimes,
      'default',
      runtimeManifest('other', { pods: 1, slots: 4 }, 'kruntimes-bash-runtime:latest'),
    ),
  );
  await plane.whenReady('other', 1, 60_000);
  const runs = await openRuns({ kube: plane.kube, namespace: 'default' });
  const workspaces = readdirSync(join(plane.dataDir, 'pods')).map((pod) =>
    join(plane.dataDir, 'pods', pod, 'volumes', 'workspace'),
  );
  const latency = async (runtime: string): Promise<number> => {
    const { began, seen, phase, message } = await runs.run(runs.name(), { ...good, runtime });
    if (phase !== 'Succeeded') throw new Error(`a good Run ended as ${phase}: ${message}`);
    return seen - began;
  };
  /** So many on each pod, in turn, and more while `goesOn`. */
  const measure = async (count: number, goesOn: () => boolean = () => false) => {
    const [same, other]: [number[], number[]] = [[], []];
    for (let i = 0; i < count || goesOn(); i += 1) {
      same.push(await latency('bash'));
      other.push(await latency('other'));
    }
    return { same, other };
  };
  for (let i = 0; i < WARM_UP; i += 1) await latency(i % 2 === 0 ? 'bash' : 'other');

  const wanted = values.only?.split(',');
  const figure = (ms: number): string => ms.toFixed(1).padStart(7);
  say(`load ${readFileSync('/proc/loadavg', 'utf8').trim()}; ${ROUNDS} rounds of ${GOOD}; ms, p50 and p90`);
  say('pod     alone         beside         ratio of p50, of p90   hostile Run');
  for (const [name, inline] of Object.entries(HOSTILE)) {
    if (wanted !== undefined && !wanted.some((word) => name.includes(word))) continue;
    const [alone, beside] = [0, 1].map(() => ({ same: [] as number[], other: [] as number[] }));
    if (alone === undefined || beside === undefined) continue;
    const add = (to: typeof alone, more: typeof alone): void => {
      to.same.push(...more.same);
      to.other.push(...more.other);
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      add(alone, await measure(GOOD));
      let isOver = false;
      let current = '';
      let uid = '';
      /** One after the other until it is over; an end that was not asked for is part of what it does. */
      const goOn = async (): Promise<void> => {
        while (!isOver) {
          current = runs.name();
          const began = Promise.race([runs.phase(current, 'Running'), runs.end(current)]);
          await runs.create(current, { source: { inline }, entrypoint: 'script', runtime: 'bash' });
          await began;
          uid = (await plane.whenRun(current, () => true)).metadata.uid;
          await runs.end(current);
        }
      };
      const going = goOn();
      await plane
        .whenRun(
          current,
          ({ status }) => status?.phase !== 'Pending' && status?.phase !== 'Scheduled',
          60_000,
        )
        .catch(() => undefined);
      const isThere = (): boolean => workspaces.some((folder) => existsSync(join(folder, uid)));
      add(beside, await measure(GOOD));
      isOver = true;
      await runs.cancel(current).catch(() => undefined);
      // What it left is being removed: its neighbours feel that, too.
      add(beside, await measure(0, isThere));
      await going;
    }
    for (const pod of ['same', 'other'] as const) {
      const [a, b] = [summary(alone[pod]), summary(beside[pod])];
      const p90 = (values: ReadonlyArray<number>): number =>
        values.toSorted((x, y) => x - y)[Math.floor(values.length * 0.9)] ?? Number.NaN;
      const [a90, b90] = [p90(alone[pod]), p90(beside[pod])];
      say(
        `${pod.padEnd(5)} ${figure(a.p50)}${figure(a90)} ${figure(b.p50)}${figure(b90)}   ${(b.p50 / a.p50).toFixed(2).padStart(5)} ${(b90 / a90).toFixed(2).padStart(5)}   ${name}`,
      );
    }
  }
  runs.close();
} finally {
  await plane.stop();
}
