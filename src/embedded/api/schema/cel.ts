/** The CEL rules of a schema (x-kubernetes-validations), evaluated on an object and on what it was before. */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';

import type { FieldError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { isObject } from '../json.js';
import type { Input } from './cel-inputs.js';
import { inputsOf, inputsText } from './cel-inputs.js';
import type { Rule, Schema } from './schema.js';
import { memberPath, memberSchema } from './schema.js';

type Program = ((context: Record<string, unknown>) => unknown) & Readonly<{ ast: ASTNode }>;
type CompiledRule = Readonly<{ rule: Rule; run: Program; message: Program | undefined; usesOld: boolean }>;
/** The rules that stand on one value and apply to it, what they look at, and with which of it they all held. */
type RuleSet = Readonly<{ rules: readonly CompiledRule[]; inputs: readonly Input[]; held: Set<string> }>;

/** Texts of inputs that are kept of one rule set; then all are forgotten. */
const KEPT = 1_024;

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  homogeneousAggregateLiterals: false,
  enableOptionalTypes: true,
})
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn');

const compiled = new WeakMap<Rule, CompiledRule>();

/** Compiles a rule; throws with the compiler's message when it is not valid CEL. */
export const compileRule = (rule: Rule): CompiledRule => {
  const known = compiled.get(rule);
  if (known !== undefined) return known;
  const made: CompiledRule = {
    rule,
    run: environment.parse(rule.rule),
    message: rule.messageExpression === undefined ? undefined : environment.parse(rule.messageExpression),
    usesOld: /\boldSelf\b/.test(rule.rule),
  };
  compiled.set(rule, made);
  return made;
};

const facts = new WeakMap<Schema, { hasRules?: boolean; hasNumbers?: boolean }>();

const partsOf = (schema: Schema): Schema[] => [
  ...Object.values(schema.properties ?? {}),
  ...(typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : []),
  ...(schema.items === undefined ? [] : [schema.items]),
];

/** Whether something holds for a schema or a part of it; remembered. */
const holdsSomewhere = (
  schema: Schema,
  name: 'hasRules' | 'hasNumbers',
  holds: (schema: Schema) => boolean,
): boolean => {
  const fact = facts.get(schema) ?? {};
  if (fact[name] === undefined) {
    facts.set(schema, fact);
    fact[name] = false;
    fact[name] = holds(schema) || partsOf(schema).some((part) => holdsSomewhere(part, name, holds));
  }
  return fact[name];
};

const isNumeric = (schema: Schema): boolean =>
  schema.type === 'integer' ||
  schema['x-kubernetes-int-or-string'] === true ||
  schema['x-kubernetes-preserve-unknown-fields'] === true;

const celValues = new WeakMap<object, unknown>();

/** A JSON value as CEL sees it: whole numbers become CEL ints. What has none is passed as it is. */
const celValue = (schema: Schema | undefined, value: Json): unknown => {
  if (typeof value === 'number')
    return Number.isInteger(value) && schema?.type !== 'number' ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (schema !== undefined && !holdsSomewhere(schema, 'hasNumbers', isNumeric)) return value;
  const known = celValues.get(value);
  if (known !== undefined) return known;
  const made = Array.isArray(value)
    ? value.map((item) => celValue(schema?.items, item))
    : Object.fromEntries(
        Object.entries(value)
          .filter((member): member is [string, Json] => member[1] !== undefined)
          .map(([key, inner]) => [key, celValue(memberSchema(schema, key), inner)]),
      );
  celValues.set(value, made);
  return made;
};

const typeName = (schema: Schema): string => schema.type ?? 'object';

const errorTypes: Readonly<Record<string, FieldError['type']>> = {
  FieldValueRequired: 'Required',
  FieldValueDuplicate: 'Duplicate',
  FieldValueForbidden: 'Forbidden',
};

/** Where a failed rule is reported: the rule's own fieldPath, below the value it stands on. */
const reportedPath = (path: string, fieldPath: string | undefined): string => {
  if (fieldPath === undefined) return path;
  const relative = fieldPath.replace(/\['([^']*)'\]/g, '.$1').replace(/^\./, '');
  return memberPath(path, relative);
};

const failure = (
  schema: Schema,
  { rule, message }: CompiledRule,
  context: Record<string, unknown>,
  path: string,
): FieldError => {
  let detail = rule.message ?? `failed rule: ${rule.rule.trim()}`;
  if (message !== undefined) {
    try {
      const made = message(context);
      if (typeof made === 'string' && made.trim() !== '' && !made.includes('\n')) detail = made;
    } catch {
      // A message that cannot be made leaves the fixed one.
    }
  }
  const type = errorTypes[rule.reason ?? ''] ?? 'Invalid';
  return { type, field: reportedPath(path, rule.fieldPath), value: typeName(schema), detail };
};

/** Elements of a keyed list by key, so that an element is compared with its own past. */
const correlated = (schema: Schema, old: Json[] | undefined): ((item: Json) => Json | undefined) => {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (old === undefined || schema['x-kubernetes-list-type'] !== 'map' || keys === undefined)
    return () => undefined;
  const identity = (item: Json): string =>
    JSON.stringify(keys.map((key) => (isObject(item) ? (item[key] ?? null) : null)));
  const byKey = new Map(old.map((item) => [identity(item), item]));
  return (item) => byKey.get(identity(item));
};

const ruleSets = new WeakMap<Schema, Readonly<{ onCreate: RuleSet; onUpdate: RuleSet }>>();

const ruleSetOf = (rules: readonly CompiledRule[]): RuleSet => ({
  rules,
  inputs: rules.flatMap(({ run }) => inputsOf(run.ast)),
  held: new Set(),
});

/** The rules of a value without a past have those left out that ask for it. */
const ruleSet = (schema: Schema, hasOld: boolean): RuleSet => {
  let sets = ruleSets.get(schema);
  if (sets === undefined) {
    const rules = (schema['x-kubernetes-validations'] ?? []).map(compileRule);
    sets = {
      onCreate: ruleSetOf(rules.filter(({ usesOld }) => !usesOld)),
      onUpdate: ruleSetOf(rules),
    };
    ruleSets.set(schema, sets);
  }
  return hasOld ? sets.onUpdate : sets.onCreate;
};

/** Appends the failed ones of the rules that stand on this very value. */
const checkRules = (
  schema: Schema,
  { rules, inputs, held }: RuleSet,
  value: Json,
  old: Json | undefined,
  path: string,
  errors: FieldError[],
): void => {
  if (rules.length === 0) return;
  const text = inputsText(inputs, value, old);
  if (text !== undefined && held.has(text)) return;
  const before = errors.length;
  const context: Record<string, unknown> = { self: celValue(schema, value) };
  if (old !== undefined) context.oldSelf = celValue(schema, old);
  for (const rule of rules) {
    try {
      if (rule.run(context) !== true) errors.push(failure(schema, rule, context, path));
    } catch (error) {
      const why = wordsOf(error);
      const words = rule.rule.message ?? rule.rule.rule.trim();
      errors.push({
        type: 'Invalid',
        field: path,
        value: typeName(schema),
        detail: `${why} evaluating rule: ${words}`,
      });
    }
  }
  if (text === undefined || errors.length > before) return;
  if (held.size >= KEPT) held.clear();
  held.add(text);
};

/** What kube-apiserver's library says where ours fails. */
const wordsOf = (error: unknown): string => {
  const said = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return said.startsWith('Invalid duration string')
    ? "type conversion error from 'string' to 'google.protobuf.Duration'"
    : said;
};

/**
 * Appends the failed rules of a value and its parts to `errors`. Rules that name oldSelf run only when there is an
 * old value. Parts that are the very same as before are not asked again.
 */
export const validateRules = (
  schema: Schema,
  value: Json,
  old: Json | undefined,
  path: string,
  errors: FieldError[],
): void => {
  if (value === null || (value === old && typeof value === 'object')) return;
  if (!holdsSomewhere(schema, 'hasRules', (part) => (part['x-kubernetes-validations'] ?? []).length > 0))
    return;
  const past = old === null ? undefined : old;
  checkRules(schema, ruleSet(schema, past !== undefined), value, past, path, errors);
  if (Array.isArray(value)) {
    const items = schema.items;
    if (items === undefined) return;
    const pastOf = correlated(schema, Array.isArray(old) ? old : undefined);
    for (const [i, item] of value.entries())
      validateRules(items, item, pastOf(item), `${path}[${i}]`, errors);
  } else if (isObject(value)) {
    const before: JsonObject = isObject(old) ? old : {};
    for (const key of Object.keys(value)) {
      const member = memberSchema(schema, key);
      const inner = value[key];
      if (member === undefined || inner === undefined) continue;
      validateRules(member, inner, before[key], memberPath(path, key), errors);
    }
  }
};
