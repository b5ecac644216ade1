/** The JSONPath of printer columns: names, indexes, wildcards and `[?(@.a=="b")]` filters. */
import type { Json } from '../json.js';
import { isObject } from '../json.js';

type Step =
  | Readonly<{ kind: 'name'; name: string }>
  | Readonly<{ kind: 'index'; index: number }>
  | Readonly<{ kind: 'all' }>
  | Readonly<{ kind: 'filter'; path: readonly Step[]; operator: string; value: string }>;

const parse = (text: string): Step[] => {
  const steps: Step[] = [];
  const pattern =
    /\.?(?:\[\?\(\s*@([^=!<>]*?)\s*(?:(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([^)\s]+))\s*)?\)\]|\[(-?\d+)\]|\[\*\]|\['([^']*)'\]|\["([^"]*)"\]|((?:\\.|[^.[\]\\])+))/gy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null) throw new Error(`cannot read the JSONPath ${text}`);
    const [whole, filterPath, operator, doubleQuoted, singleQuoted, bare, index, quoted, quoted2, name] =
      match;
    if (filterPath !== undefined) {
      steps.push({
        kind: 'filter',
        path: parse(filterPath),
        operator: operator ?? '',
        value: doubleQuoted ?? singleQuoted ?? bare ?? '',
      });
    } else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (whole.includes('[*]') || name === '*') steps.push({ kind: 'all' });
    else steps.push({ kind: 'name', name: quoted ?? quoted2 ?? (name ?? '').replace(/\\(.)/g, '$1') });
  }
  return steps;
};

const matchesFilter = (item: Json, { path, operator, value }: Extract<Step, { kind: 'filter' }>): boolean => {
  const found = path.reduce<Json[]>(take, [item]);
  if (operator === '') return found.length > 0;
  return found.some((inner) => String(inner) === value) === (operator === '==');
};

const takeOne = (value: Json, step: Step): Json[] => {
  const isPresent = (inner: Json | undefined): inner is Json => inner !== undefined;
  switch (step.kind) {
    case 'name':
      return [isObject(value) ? value[step.name] : undefined].filter(isPresent);
    case 'index':
      return [Array.isArray(value) ? value.at(step.index) : undefined].filter(isPresent);
    case 'all':
      return Array.isArray(value) ? value : Object.values(isObject(value) ? value : {}).filter(isPresent);
    case 'filter':
      return (Array.isArray(value) ? value : []).filter((item) => matchesFilter(item, step));
  }
};

const take = (values: readonly Json[], step: Step): Json[] => values.flatMap((value) => takeOne(value, step));

const parsed = new Map<string, readonly Step[]>();

/** All values at a path such as `.status.conditions[?(@.type=="Ready")].status`. Throws when it cannot be read. */
export const atJsonPath = (value: Json, path: string): Json[] => {
  let steps = parsed.get(path);
  if (steps === undefined) {
    steps = parse(path.replace(/^\{(.*)\}$/, '$1').replace(/^\$/, ''));
    parsed.set(path, steps);
  }
  return steps.reduce<Json[]>(take, [value]);
};
