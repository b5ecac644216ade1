/**
 * Kubernetes' JSONPath dialect, evaluated as kubectl does: what a path does not find is empty, several results are
 * parted by a space, objects and arrays are written as compact JSON with sorted keys.
 */
import { Failure } from '../failure.js';
import {
  type Node,
  type Operand,
  type Operator,
  type Path,
  parseJsonPath,
  type Step,
} from './jsonpath-parse.js';

type Values = ReadonlyArray<unknown>;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const children = (value: unknown): Values =>
  Array.isArray(value)
    ? value
    : isRecord(value)
      ? Object.keys(value)
          .sort()
          .map((key) => value[key])
      : [];

/** The value and all below it, parents first. */
const descendants = (value: unknown): Values => [value, ...children(value).flatMap(descendants)];

const fail = (message: string): never => {
  throw new Failure('Error', `jsonpath: ${message}`);
};

const slice = (value: unknown, from: number | undefined, to: number | undefined, step: number): Values => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return fail(`${JSON.stringify(value)} is not an array`);
  const start = from === undefined ? 0 : from < 0 ? from + value.length : from;
  const end = to === undefined ? value.length : to < 0 ? to + value.length : to;
  if (start === end) return [];
  if (start < 0 || start >= value.length)
    return fail(`array index out of bounds: index ${start}, length ${value.length}`);
  if (end < 0 || end > value.length)
    return fail(`array index out of bounds: index ${end - 1}, length ${value.length}`);
  if (start > end) return fail(`starting index ${start} is greater than ending index ${end}`);
  return value.slice(start, end).filter((_, i) => i % step === 0);
};

const compare = (left: unknown, operator: Operator, right: unknown): boolean => {
  if (operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (typeof left === 'number' && typeof right === 'number')
    return operator === '<'
      ? left < right
      : operator === '<='
        ? left <= right
        : operator === '>'
          ? left > right
          : left >= right;
  if (typeof left === 'string' && typeof right === 'string')
    return operator === '<'
      ? left < right
      : operator === '<='
        ? left <= right
        : operator === '>'
          ? left > right
          : left >= right;
  return fail(`cannot order ${JSON.stringify(left)} and ${JSON.stringify(right)}`);
};

const valuesOf = (operand: Operand, current: unknown, root: unknown): Values =>
  operand.kind === 'value' ? [operand.value] : walk(operand.path, [current], root);

const passes = (step: Extract<Step, { kind: 'filter' }>, item: unknown, root: unknown): boolean => {
  const left = valuesOf(step.left, item, root);
  if (step.operator === 'exists') return left.length > 0;
  const right = step.right ? valuesOf(step.right, item, root) : [];
  if (left.length > 1 || right.length > 1) return fail('a filter compares one value with one value');
  return left.length === 1 && right.length === 1 && compare(left[0], step.operator, right[0]);
};

const take = (step: Exclude<Step, { kind: 'union' }>, value: unknown, root: unknown): Values => {
  switch (step.kind) {
    case 'root':
      return [root];
    case 'current':
      return [value];
    case 'wildcard':
      return children(value);
    case 'recursive':
      return descendants(value);
    case 'field':
      return isRecord(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'index':
      return slice(value, step.index, step.index === -1 ? undefined : step.index + 1, 1);
    case 'slice':
      return slice(value, step.from, step.to, step.step);
    case 'filter':
      return children(value).filter((item) => passes(step, item, root));
  }
};

/** What the path finds from `start` on. After `..` a step that does not fit a value skips it. */
const walk = (path: Path, start: Values, root: unknown): Values => {
  let values = start;
  path.forEach((step, i) => {
    const afterRecursive = path[i - 1]?.kind === 'recursive';
    const fits = (value: unknown): boolean =>
      !afterRecursive || Array.isArray(value) || (step.kind !== 'index' && step.kind !== 'slice');
    // A union takes each member over all values before the next, as kubectl does.
    values =
      step.kind === 'union'
        ? step.paths.flatMap((member) => walk(member, values, root))
        : values.filter(fits).flatMap((value) => take(step, value, root));
  });
  return values;
};

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : isRecord(value)
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((key) => [key, sorted(value[key])]),
        )
      : value;

/** JSON as Go writes it by default: sorted keys, and `<`, `>`, `&` escaped. */
const goJson = (value: unknown): string =>
  JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const text = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? goJson(value) : String(value);

const renderNode = (node: Node, current: unknown, root: unknown): string => {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'path':
      return walk(node.path, [current], root).map(text).join(' ');
    case 'range':
      return walk(node.path, [current], root)
        .map((item) => render(node.body, item, root))
        .join('');
  }
};

const render = (template: ReadonlyArray<Node>, current: unknown, root: unknown): string =>
  template.map((node) => renderNode(node, current, root)).join('');

/** A function that renders an object by the template. Errors: Usage for the template, Error for what it meets. */
export const jsonPath = (template: string): ((object: unknown) => string) => {
  const parsed = parseJsonPath(template);
  return (object) => render(parsed, object, object);
};
