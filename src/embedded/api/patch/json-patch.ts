/** JSON patch (RFC 6902). Parts that no operation touches stay shared with the document before. */
import { ApiError, badRequest } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { copyJson, isObject, sameJson } from '../json.js';

/** Operations that one patch may have, as in kube-apiserver. */
const maxOperations = 10_000;

/** kube-apiserver keeps to itself what it was. */
const failed = (): ApiError =>
  new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});

const stepsOf = (pointer: unknown): string[] => {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/')))
    throw badRequest(`error in JSON patch: bad path ${JSON.stringify(pointer)}`);
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
};

const indexOf = (step: string, length: number, forAdd: boolean): number => {
  if (forAdd && step === '-') return length;
  if (!/^(0|[1-9][0-9]*)$/.test(step)) throw failed();
  const index = Number(step);
  if (index >= length + (forAdd ? 1 : 0)) throw failed();
  return index;
};

const read = (document: Json | undefined, steps: readonly string[]): Json | undefined => {
  let here = document;
  for (const step of steps) {
    if (Array.isArray(here)) here = here[indexOf(step, here.length, false)];
    else if (isObject(here)) here = here[step];
    else throw failed();
  }
  return here;
};

type Change = (parent: Json[] | JsonObject, step: string) => void;

/** A copy of the document in which the container that holds the last step was changed. */
const edit = (document: Json, steps: readonly string[], path: string, change: Change): Json => {
  const [step, ...rest] = steps;
  if (step === undefined) throw failed();
  if (Array.isArray(document)) {
    const copy = [...document];
    if (rest.length === 0) change(copy, step);
    else {
      const index = indexOf(step, copy.length, false);
      copy[index] = edit(copy[index] ?? null, rest, path, change);
    }
    return copy;
  }
  if (!isObject(document)) throw failed();
  const copy = { ...document };
  if (rest.length === 0) change(copy, step);
  else {
    const inner = copy[step];
    if (inner === undefined) throw failed();
    copy[step] = edit(inner, rest, path, change);
  }
  return copy;
};

const add = (document: Json, steps: readonly string[], path: string, value: Json): Json =>
  steps.length === 0
    ? value
    : edit(document, steps, path, (parent, step) => {
        if (Array.isArray(parent)) parent.splice(indexOf(step, parent.length, true), 0, value);
        else parent[step] = value;
      });

const remove = (document: Json, steps: readonly string[], path: string): Json =>
  edit(document, steps, path, (parent, step) => {
    if (Array.isArray(parent)) parent.splice(indexOf(step, parent.length, false), 1);
    else if (parent[step] === undefined) throw failed();
    else delete parent[step];
  });

const replace = (document: Json, steps: readonly string[], path: string, value: Json): Json =>
  steps.length === 0
    ? value
    : edit(document, steps, path, (parent, step) => {
        if (Array.isArray(parent)) parent[indexOf(step, parent.length, false)] = value;
        else if (parent[step] === undefined) throw failed();
        else parent[step] = value;
      });

const givenValue = (operation: JsonObject): Json => {
  if (operation.value === undefined)
    throw badRequest(`error in JSON patch: the ${String(operation.op)} operation needs a value`);
  return copyJson(operation.value);
};

/** The document after all operations. Throws 400 for a malformed patch, 422 when an operation does not apply. */
export const jsonPatch = (document: Json, patch: Json): Json => {
  if (!Array.isArray(patch))
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch');
  if (patch.length > maxOperations) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    );
  }
  return patch.reduce<Json>((before, operation) => {
    if (!isObject(operation)) throw badRequest('error in JSON patch: an operation must be an object');
    const path = String(operation.path ?? '');
    const steps = stepsOf(operation.path);
    switch (operation.op) {
      case 'add':
        return add(before, steps, path, givenValue(operation));
      case 'remove':
        return remove(before, steps, path);
      case 'replace':
        return replace(before, steps, path, givenValue(operation));
      case 'move': {
        const from = stepsOf(operation.from);
        const moved = read(before, from);
        if (moved === undefined) throw failed();
        return add(remove(before, from, String(operation.from)), steps, path, moved);
      }
      case 'copy': {
        const copied = read(before, stepsOf(operation.from));
        if (copied === undefined) throw failed();
        return add(before, steps, path, copyJson(copied));
      }
      case 'test':
        if (!sameJson(read(before, steps) ?? null, operation.value ?? null)) {
          throw failed();
        }
        return before;
      default:
        throw badRequest(`error in JSON patch: unknown operation ${JSON.stringify(operation.op)}`);
    }
  }, document);
};
