/** Objects and rows as `-o` wants them. */
import type { Column, Row } from '../api/api.js';
import type { Format } from './format.js';
import { cell, table } from './table.js';

/** Every form but a table. */
export type ObjectFormat = Exclude<Format, { kind: 'table' }>;

/** One object as the server names it: `run.kruntimes.io/hello`. */
export const qualifiedName = (object: unknown): string => {
  const { kind, apiVersion, metadata } = object as Readonly<{
    kind?: string;
    apiVersion?: string;
    metadata?: Readonly<{ name?: string }>;
  }>;
  const group = apiVersion?.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${String(kind ?? 'object').toLowerCase()}${group}/${metadata?.name ?? ''}`;
};

/** A v1 List, as kubectl makes one of several objects. */
export const listOf = (items: ReadonlyArray<unknown>, resourceVersion = ''): unknown => ({
  apiVersion: 'v1',
  kind: 'List',
  metadata: { resourceVersion },
  items,
});

/** The text of one object, or of a List. Errors: Failure of a JSONPath. */
export const formatObject = async (format: ObjectFormat, object: unknown): Promise<string> => {
  switch (format.kind) {
    case 'json':
      return `${JSON.stringify(object, null, 2)}\n`;
    case 'yaml':
      return (await import('js-yaml')).dump(object, { lineWidth: -1, noRefs: true });
    case 'name': {
      const { items } = object as Readonly<{ items?: ReadonlyArray<unknown> }>;
      return (items ?? [object]).map((item) => `${qualifiedName(item)}\n`).join('');
    }
    case 'jsonpath':
      return (await import('./jsonpath.js')).jsonPath(format.template)(object);
  }
};

/** Refuses a JSONPath that cannot be read before anything is asked or done. Errors: Usage. */
export const checkFormat = async (format: Format): Promise<void> => {
  if (format.kind === 'jsonpath') (await import('./jsonpath-parse.js')).parseJsonPath(format.template);
};

/** Header and cells of rows, ready to be aligned. */
export const tableCells = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<Row>,
  options: Readonly<{ wide: boolean; withNamespace: boolean }>,
): Readonly<{ header: ReadonlyArray<string>; rows: ReadonlyArray<ReadonlyArray<string>> }> => {
  const shown = columns.flatMap(({ priority }, i) => (priority === 0 || options.wide ? [i] : []));
  const namespace = options.withNamespace;
  return {
    header: [
      ...(namespace ? ['NAMESPACE'] : []),
      ...shown.map((i) => (columns[i]?.name ?? '').toUpperCase()),
    ],
    rows: rows.map((row) => [...(namespace ? [row.namespace] : []), ...shown.map((i) => cell(row.cells[i]))]),
  };
};

/** Rows as a table with a header. */
export const formatRows = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<Row>,
  options: Readonly<{ wide: boolean; withNamespace: boolean }>,
): string => {
  const cells = tableCells(columns, rows, options);
  return table(cells.header, cells.rows);
};
