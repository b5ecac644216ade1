/**
 * Draws where the time of one Run goes, from a bench's JSON: `node --import tsx/esm test/bench/picture.ts JSON SVG`.
 * Above, the stages of the median Run on a line of time, beside the machine's own limits; below, the processor time
 * that each program spends on a Run.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { quantile } from './stats.js';

const Results = t.type({
  time: t.string,
  machine: t.record(t.string, t.union([t.string, t.number])),
  results: t.type({
    a: t.type({
      raw: t.record(t.string, t.array(t.number)),
      cpuPerRun: t.record(t.string, t.number),
    }),
  }),
});

type Bar = Readonly<{ label: string; value: number; color: string }>;

const COLORS = ['#4c78a8', '#f58518', '#54a24b', '#e45756', '#72b7b2', '#b279a2', '#9d755d', '#bab0ac'];
const WIDTH = 720;
const LEFT = 190;
const ROW = 24;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y}" ${more}>${escaped(content)}</text>`;

/** Rows of bars that share a scale; each begins where `from` says. */
const rows = (
  bars: ReadonlyArray<Bar & Readonly<{ from: number }>>,
  most: number,
  top: number,
): ReadonlyArray<string> =>
  bars.flatMap(({ label, value, color, from }, index) => {
    const scale = (WIDTH - LEFT - 80) / most;
    const y = top + index * ROW;
    const x = LEFT + from * scale;
    const width = Math.max(1, value * scale);
    return [
      text(LEFT - 8, y + 15, label, 'text-anchor="end"'),
      `<rect x="${x.toFixed(1)}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 8}" fill="${color}"/>`,
      text(x + width + 5, y + 15, `${value.toFixed(2)} ms`),
    ];
  });

const [input = '', output = ''] = process.argv.slice(2);
const decoded = Results.decode(JSON.parse(readFileSync(input, 'utf8')));
if (E.isLeft(decoded))
  throw new Error(`${input} holds no figures of scenario a; make them with: npm run bench -- a`);
const { machine, results, time } = decoded.right;
const { raw, cpuPerRun } = results.a;
const median = (name: string): number => quantile(raw[name] ?? [], 0.5);

const stages = ['create → assigned', 'assigned → started', 'started → ended', 'ended → seen'];
let at = 0;
const stageBars = stages.map((label, index) => {
  const bar = { label, value: median(label), color: COLORS[index] ?? '', from: at };
  at += bar.value;
  return bar;
});
const whole = median('wholeMs');
const limits = [
  { label: 'the whole', value: whole, color: '#333', from: 0 },
  { label: 'limit: bare spawn', value: median('spawnMs'), color: '#999', from: 0 },
  { label: 'limit: create + 2 patches', value: median('apiTripleMs'), color: '#999', from: 0 },
  { label: 'limit: append + fdatasync', value: median('syncMs'), color: '#999', from: 0 },
];
const programs = Object.entries(cpuPerRun)
  .filter(([, value]) => value >= 0.01)
  .map(([label, value], index) => ({ label, value, color: COLORS[index] ?? '#999', from: 0 }));

const firstTop = 40;
const secondTop = firstTop + (stageBars.length + limits.length) * ROW + 50;
const height = secondTop + programs.length * ROW + 40;
const longest = Math.max(at, ...limits.map(({ value }) => value));
writeFileSync(
  output,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${[
  text(
    10,
    22,
    'Where the time of one Run goes: medians of the stages, one Run at a time',
    'font-weight="bold"',
  ),
  ...rows([...stageBars, ...limits], longest, firstTop),
  text(10, secondTop - 12, 'Processor time of one Run, by program', 'font-weight="bold"'),
  ...rows(programs, Math.max(...programs.map(({ value }) => value)), secondTop),
  text(
    10,
    height - 12,
    `${machine.cpu}, ${machine.cores} cores, load ${machine.loadAtStart} at the start, node ${machine.node}, ${machine.disk}, commit ${machine.commit}, ${time.slice(0, 10)}`,
    'fill="#777" font-size="10"',
  ),
].join('\n')}
</svg>
`,
);
