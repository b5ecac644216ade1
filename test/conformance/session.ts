/** A recorded session of kubectl, and what of an answer is not to be compared. */
import { fileURLToPath } from 'node:url';

import type { Body } from './target.js';

/** Where it is kept. */
export const SESSION_FILE = fileURLToPath(new URL('session.json', import.meta.url));

/** A request with its answer; `kubectl` begins what one command asked. */
export type Exchange =
  | Readonly<{ kubectl: string }>
  | Readonly<{
      method: string;
      path: string;
      headers: Readonly<Record<string, string>>;
      type?: string;
      sent?: Body;
      code: number;
      got: Body;
      warning?: string;
    }>;

/** Fields whose values are another server's own. */
const OWN = new Set(['uid', 'resourceVersion', 'continue']);
/** Fields that are a time, or depend on one. */
const TIMES = new Set(['creationTimestamp', 'deletionTimestamp']);
const AGE = /^(\d+[smhd])+$|^<invalid>$/;

/** Several faults of one object come in any order, in the message, too. */
const sorted = (status: Body): Body =>
  status?.details?.causes?.length > 1
    ? {
        ...status,
        message: '<all of them>',
        details: {
          ...status.details,
          causes: [...status.details.causes].sort((a: Body, b: Body) =>
            `${a.field} ${a.message}` < `${b.field} ${b.message}` ? -1 : 1,
          ),
        },
      }
    : status;

/** The same without what differs from server to server and from moment to moment. */
export const normalised = (given: Body, key = ''): Body => {
  const value = sorted(given);
  // In the order of their times, which a replay has closer together.
  if (key === 'managedFields')
    return value
      .map(({ time: _, ...entry }: Body) => normalised(entry))
      .sort((a: Body, b: Body) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  // Words of Kubernetes' own documentation.
  if (key === 'columnDefinitions')
    return value.map(({ name, type, priority }: Body) => ({ name, type, priority }));
  if (Array.isArray(value)) return value.map((item) => normalised(item));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        // Null, empty and absent are one to every client.
        .filter((name) => value[name] !== null && value[name] !== undefined && value[name] !== '')
        .map((name) => [name, normalised(value[name], name)]),
    );
  if (OWN.has(key)) return `<${key}>`;
  if (TIMES.has(key)) return '<time>';
  return typeof value === 'string' && AGE.test(value) ? '<age>' : value;
};

/** Values of the other server → ours, learnt from two answers to the same question. */
export const learn = (theirs: Body, ours: Body, known: Map<string, string>): void => {
  if (typeof theirs !== 'object' || typeof ours !== 'object' || theirs === null || ours === null) return;
  for (const [name, value] of Object.entries(theirs))
    if (OWN.has(name) && typeof value === 'string' && typeof ours[name] === 'string' && value !== '')
      known.set(value, ours[name]);
    else learn(value, ours[name], known);
};

/** A request with the other server's values replaced by ours. */
export const translated = (text: string, known: ReadonlyMap<string, string>): string =>
  // Versions are short numbers: only where they stand as a whole value.
  text.replace(/(?<=["=:])[\w-]{2,}(?=["&]|$)/g, (word) => known.get(word) ?? word);

/** Where two answers differ, as lines `path: theirs, ours`. */
export const differences = (theirs: Body, ours: Body, path = ''): ReadonlyArray<string> => {
  if (typeof theirs === 'object' && typeof ours === 'object' && theirs !== null && ours !== null)
    return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].flatMap((name) =>
      differences(theirs[name], ours[name], `${path}/${name}`),
    );
  return theirs === ours ? [] : [`${path}: ${JSON.stringify(theirs)}, here ${JSON.stringify(ours)}`];
};
