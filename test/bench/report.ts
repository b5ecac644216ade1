/** How do the figures look to a person? */
import { type Figures, isMet, type Row, type Target } from './scenario.js';

const number = (value: number): string =>
  !Number.isFinite(value)
    ? String(value)
    : Math.abs(value) >= 100
      ? value.toFixed(0)
      : Math.abs(value) >= 10
        ? value.toFixed(1)
        : value.toFixed(2);

const cells = ({ label, unit, values }: Row): ReadonlyArray<string> =>
  typeof values === 'number'
    ? [label, unit, '', number(values), '', '', '']
    : [label, unit, String(values.n), ...[values.p50, values.p95, values.p99, values.max].map(number)];

const bound = ({ atMost, atLeast }: Target): string =>
  atMost === undefined ? `at least ${number(atLeast ?? 0)}` : `at most ${number(atMost)}`;

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};

/** One scenario's table. */
export const tableOf = (name: string, question: string, figures: Figures): string => {
  const { parameters, rows, targets, errors, cpuPerRun } = figures;
  const given = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
  const parts = [`\n${name}: ${question}`, `  ${given.join(' ')}`];
  parts.push(aligned([['', '', 'n', 'p50', 'p95', 'p99', 'max'], ...rows.map(cells)]));
  if (cpuPerRun !== undefined) {
    const used = Object.entries(cpuPerRun);
    const sum = used.reduce((total, [, ms]) => total + ms, 0);
    parts.push(
      `processor time per Run, ms: ${[...used, ['all', sum] as const].map(([program, ms]) => `${program} ${number(ms)}`).join(', ')}`,
    );
  }
  if (targets.length > 0)
    parts.push(
      aligned(
        targets.map((target) => [
          isMet(target) ? 'met' : 'MISSED',
          target.label,
          `${number(target.value)} ${target.unit}`,
          bound(target),
        ]),
      ),
    );
  parts.push(
    errors.length === 0 ? 'errors: 0' : `errors: ${errors.length}\n  ${errors.slice(0, 5).join('\n  ')}`,
  );
  return parts.join('\n');
};
