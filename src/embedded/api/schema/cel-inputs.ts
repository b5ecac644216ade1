/**
 * What do CEL rules look at? Of most, a few scalars: then that and nothing else decides whether they hold, and a text of
 * it says whether they were found to hold before. CEL has no clock and no chance.
 */
import type { ASTNode } from '@marcbachmann/cel-js';

import type { Json } from '../json.js';

/** A member somewhere below `self` or `oldSelf`. */
export type Input = Readonly<{
  isOld: boolean;
  steps: readonly string[];
  /** Only whether it is there is asked. */
  isPresence: boolean;
}>;

/** Length of the longest scalar that goes into a text. */
const MAX_SCALAR = 128;

const isNode = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;

/** The member that a chain of `.` names; undefined when the node is no such chain. */
const chainOf = (node: ASTNode): Omit<Input, 'isPresence'> | undefined => {
  if (node.op === 'id')
    return node.args === 'self' || node.args === 'oldSelf'
      ? { isOld: node.args === 'oldSelf', steps: [] }
      : undefined;
  if (node.op !== '.') return undefined;
  const [object, member] = node.args;
  const chain = chainOf(object);
  return chain === undefined ? undefined : { ...chain, steps: [...chain.steps, member] };
};

/** All that an expression reads. A name that a macro binds and that hides `self` reads more than is true, never less. */
export const inputsOf = (ast: ASTNode): Input[] => {
  const chain = chainOf(ast);
  if (chain !== undefined) return [{ ...chain, isPresence: false }];
  if (ast.op === 'call' && ast.args[0] === 'has' && ast.args[1].length === 1) {
    const [asked] = ast.args[1];
    const named = asked === undefined ? undefined : chainOf(asked);
    if (named !== undefined) return [{ ...named, isPresence: true }];
  }
  const below = (value: unknown): Input[] => {
    if (isNode(value)) return inputsOf(value);
    return Array.isArray(value) ? value.flatMap(below) : [];
  };
  return below(ast.args);
};

/** One value as a part of the text; undefined when it is not short. */
const scalarText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value.length > MAX_SCALAR ? undefined : `${value.length}"${value}`;
  return typeof value === 'number' || typeof value === 'boolean' ? `${value};` : undefined;
};

/** How far the steps lead, and what is there. */
const inputText = (value: Json | undefined, { steps, isPresence }: Input): string | undefined => {
  let here: unknown = value;
  for (let depth = 0; depth < steps.length; depth += 1) {
    if (here === undefined || here === null) return `${depth}!${kindText(here)}`;
    if (typeof here !== 'object' || Array.isArray(here)) return undefined;
    const step = steps[depth] ?? '';
    here = Object.hasOwn(here, step) ? (here as Readonly<Record<string, unknown>>)[step] : undefined;
  }
  if (here === undefined || here === null || isPresence) return kindText(here);
  return scalarText(here);
};

const kindText = (value: unknown): string => {
  if (value === null) return 'null ';
  return Array.isArray(value) ? 'array ' : `${typeof value} `;
};

/** All inputs as one text; undefined when one of them is not a short scalar. */
export const inputsText = (
  inputs: readonly Input[],
  self: Json,
  old: Json | undefined,
): string | undefined => {
  let text = '';
  for (const input of inputs) {
    const part = inputText(input.isOld ? old : self, input);
    if (part === undefined) return undefined;
    text += part;
  }
  return text;
};
