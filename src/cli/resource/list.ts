/** Lists one kind of object, once or for as long as somebody watches; `krt list` and `krt runtime list`. */
import type { Resource } from '../../model/resource.js';
import type { Selection } from '../../ports.js';
import type { Api, Column } from '../api/api.js';
import type { Terminal } from '../krt.js';
import type { Format } from '../output/format.js';
import { formatObject, formatRows, listOf, type ObjectFormat, tableCells } from '../output/print.js';
import { line, widths } from '../output/table.js';

export type ListOptions = Readonly<{
  format: Format;
  allNamespaces: boolean;
  selection: Selection;
  watch: boolean;
}>;

export type ListDeps = Readonly<{ api: Api; namespace: string; terminal: Pick<Terminal, 'out' | 'err'> }>;

/** Prints the list; with `watch` it ends only by a Failure. */
export const listObjects = async (
  resource: Resource,
  options: ListOptions,
  { api, namespace, terminal }: ListDeps,
): Promise<number> => {
  const { format } = options;
  const selection = options.allNamespaces ? options.selection : { ...options.selection, namespace };
  if (options.watch)
    return format.kind === 'table'
      ? watchRows(resource, selection, options, format.wide, api, terminal)
      : watchAll(resource, selection, format, api, terminal);
  if (format.kind !== 'table') {
    const { items, resourceVersion } = await api.list(resource, selection);
    terminal.out(await formatObject(format, listOf(items, resourceVersion)));
    return 0;
  }
  const { columns, rows } = await api.table(resource, selection);
  if (rows.length === 0)
    terminal.err(
      `no ${resource.plural} ${options.allNamespaces ? 'in any namespace' : `in namespace ${namespace}`}\n`,
    );
  else terminal.out(formatRows(columns, rows, { wide: format.wide, withNamespace: options.allNamespaces }));
  return 0;
};

const watchRows = (
  resource: Resource,
  selection: Selection,
  options: ListOptions,
  wide: boolean,
  api: Api,
  terminal: ListDeps['terminal'],
): Promise<number> =>
  new Promise((_, reject) => {
    let columns: ReadonlyArray<Column> = [];
    let columnWidths: ReadonlyArray<number> = [];
    let pending: Parameters<typeof tableCells>[1][number][] = [];
    let started = false;
    const print = (): void => {
      if (pending.length === 0) return;
      const cells = tableCells(columns, pending, { wide, withNamespace: options.allNamespaces });
      pending = [];
      const lines = started ? cells.rows : [cells.header, ...cells.rows];
      const needed = widths(lines);
      columnWidths = needed.map((cellWidth, i) => Math.max(cellWidth, columnWidths[i] ?? 0));
      for (const cellsOfLine of lines) terminal.out(`${line(cellsOfLine, columnWidths)}\n`);
      started = true;
    };
    let listing = true;
    api.watchTable(resource, selection, {
      columns: (told) => {
        columns = told;
        listing = true;
      },
      seen: (row) => {
        pending.push(row);
        if (!listing) print();
      },
      deleted: () => undefined,
      listed: () => {
        listing = false;
        print();
      },
      lost: () => undefined,
      failed: reject,
    });
  });

const watchAll = (
  resource: Resource,
  selection: Selection,
  format: ObjectFormat,
  api: Api,
  terminal: ListDeps['terminal'],
): Promise<number> =>
  new Promise((_, reject) => {
    // One after the other, so that the order on stdout is that of the changes.
    let printed: Promise<void> = Promise.resolve();
    const stop = api.watch(resource, selection, {
      seen: ({ object }) => {
        printed = printed
          .then(async () => {
            const text = await formatObject(format, object);
            terminal.out(
              format.kind === 'jsonpath' ? `${text}\n` : format.kind === 'yaml' ? `---\n${text}` : text,
            );
          })
          .catch((error) => {
            stop();
            reject(error);
          });
      },
      deleted: () => undefined,
      listed: () => undefined,
      lost: () => undefined,
      failed: reject,
    });
  });
