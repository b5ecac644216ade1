/**
 * The pure core alone, no process and no network: placement decisions a second, and what a hundred thousand deadlines
 * cost. One decision is a whole turn of a Run: it comes, is placed, the write is confirmed, it ends.
 */
import { deadlines } from '../../../src/decide/deadlines.js';
import type { ObjectKey } from '../../../src/model/ids.js';
import { placing, type Size } from '../../support/placing.js';
import { seeded } from '../load.js';
import type { Bench, Figures, Row, Scenario } from '../scenario.js';
import { quantile } from '../stats.js';

/** What there is before it is measured. */
const SIZES: ReadonlyArray<Size> = [
  { waiting: 10, pods: 10, finished: 0 },
  { waiting: 1_000, pods: 100, finished: 0 },
  { waiting: 10_000, pods: 1_000, finished: 0 },
  { waiting: 100_000, pods: 1_000, finished: 0 },
  { waiting: 10, pods: 10, finished: 100_000 },
];

const processorMs = (): number => process.cpuUsage().user / 1_000;

/** Microseconds of processor time per decision, in each of some rounds. */
const decide = (size: Size, rounds: number, perRound: number): ReadonlyArray<number> => {
  const turn = placing(size);
  const took: number[] = [];
  for (let round = 0; round < rounds + 1; round += 1) {
    const began = processorMs();
    for (let done = 0; done < perRound; done += 1) turn();
    took.push(((processorMs() - began) * 1_000) / perRound);
  }
  return took.slice(1);
};

/** Microseconds of processor time for each operation among `size` deadlines. */
const ofDeadlines = (size: number): Readonly<Record<'set' | 'move' | 'remove' | 'take', number>> => {
  const queue = deadlines<ObjectKey>();
  const chance = seeded(3);
  const keys = Array.from({ length: size }, (_, index) => `default/run-${index}` as ObjectKey);
  const timed = (work: () => void, count: number): number => {
    const began = processorMs();
    work();
    return ((processorMs() - began) * 1_000) / count;
  };
  const set = timed(() => {
    for (const key of keys) queue.set(key, Math.floor(chance() * 1e9));
  }, size);
  const move = timed(() => {
    for (const key of keys) queue.set(key, Math.floor(chance() * 1e9));
  }, size);
  const half = keys.slice(0, size / 2);
  const remove = timed(() => {
    for (const key of half) queue.remove(key);
  }, half.length);
  const left = queue.size();
  const take = timed(() => {
    for (let nowMs = 0; queue.size() > 0; nowMs += 1e6) queue.takeDue(nowMs);
  }, left);
  return { set, move, remove, take };
};

const measure = async (bench: Bench): Promise<Figures> => {
  const rounds = bench.parameter('rounds', 9);
  const perRound = bench.parameter('decisions', 5_000);
  const raw: Record<string, ReadonlyArray<number>> = {};
  const rows: Row[] = [];
  const rates = SIZES.map((size) => {
    const { waiting, pods, finished } = size;
    const name = `${waiting} wait, ${pods} pods${finished === 0 ? '' : `, ${finished} finished Runs`}`;
    bench.say(name);
    const took = decide(size, rounds, perRound);
    raw[name] = took;
    const rate = 1e6 / quantile(took, 0.5);
    rows.push({ label: `decisions: ${name}`, unit: '/s cpu', values: rate });
    return rate;
  });
  const [few, many] = [ofDeadlines(1_000), ofDeadlines(100_000)];
  ofDeadlines(100_000);
  for (const [operation, us] of Object.entries(ofDeadlines(100_000)))
    rows.push({ label: `100,000 deadlines: ${operation}`, unit: 'us cpu', values: us });
  raw.deadlinesOf1000 = Object.values(few);
  raw.deadlinesOf100000 = Object.values(many);
  const [least = 0, , , most = 0] = rates;
  const [idle = 0, full = 0] = [rates[0], rates[4]];
  return {
    parameters: { rounds, decisions: perRound },
    rows,
    targets: [
      { label: 'decisions per second, the slowest', value: Math.min(...rates), unit: '/s', atLeast: 20_000 },
      {
        label: 'a decision among 100,000 / among 10; n log n allows 5',
        value: least / most,
        unit: 'x',
        atMost: 5,
      },
      {
        label: 'a decision with 100,000 finished Runs / with none',
        value: idle / full,
        unit: 'x',
        atMost: 1.2,
      },
    ],
    errors: [],
    raw,
  };
};

export const core: Scenario = {
  name: 'k',
  question: 'the pure core: placement decisions, and 100,000 deadlines',
  measure,
};
