/** Shows objects by name; `krt get` and `krt runtime get`. */
import type { Resource } from '../../model/resource.js';
import type { Api } from '../api/api.js';
import { Failure } from '../failure.js';
import type { Terminal } from '../krt.js';
import type { Format } from '../output/format.js';
import { formatObject, formatRows, listOf } from '../output/print.js';

export type GetOptions = Readonly<{ format: Format; names: ReadonlyArray<string> }>;
export type GetDeps = Readonly<{ api: Api; namespace: string; terminal: Pick<Terminal, 'out' | 'err'> }>;

/** Prints those that are there, in the order asked for, then fails for those that are not. */
export const getObjects = async (
  resource: Resource,
  { format, names }: GetOptions,
  { api, namespace, terminal }: GetDeps,
): Promise<number> => {
  const refs = names.map((name) => ({ namespace, name }));
  if (format.kind === 'table') {
    const { found, missing } = await settle(refs.map((ref) => api.table(resource, ref)));
    const rows = found.flatMap((table) => table.rows);
    if (rows.length > 0)
      terminal.out(formatRows(found[0]?.columns ?? [], rows, { wide: format.wide, withNamespace: false }));
    return failFor(missing, terminal);
  }
  const { found, missing } = await settle(refs.map((ref) => api.get(resource, ref)));
  const [only] = found;
  if (found.length > 0) terminal.out(await formatObject(format, names.length === 1 ? only : listOf(found)));
  return failFor(missing, terminal);
};

/** Waits for all; the first failure that is not about one object alone is thrown at once. */
export const settle = async <A>(
  calls: ReadonlyArray<Promise<A>>,
): Promise<Readonly<{ found: ReadonlyArray<A>; missing: ReadonlyArray<Failure> }>> => {
  const settled = await Promise.allSettled(calls);
  const missing: Failure[] = [];
  const found: A[] = [];
  for (const outcome of settled)
    if (outcome.status === 'fulfilled') found.push(outcome.value);
    else if (outcome.reason instanceof Failure && outcome.reason.kind === 'NotFound')
      missing.push(outcome.reason);
    else throw outcome.reason;
  return { found, missing };
};

/** 0 when nothing is missing; else every line but the last is written here, and the last is thrown. */
export const failFor = (missing: ReadonlyArray<Failure>, terminal: Pick<Terminal, 'err'>): number => {
  for (const failure of missing.slice(0, -1)) terminal.err(`krt: ${failure.message}\n`);
  const last = missing.at(-1);
  if (last) throw last;
  return 0;
};
