/**
 * A version's JSON text. Most versions differ from the one before in their status alone: a long spec is copied from
 * there, byte by byte, and the sets of managed fields, which few objects have for themselves, are put into text once.
 */
import type { JsonObject } from '../json.js';
import { isObject } from '../json.js';
import type { KubeObject, ManagedFieldsEntry, ObjectMeta } from '../object.js';

/** Where in a text the value of `spec` is, bytes. */
export type SpecRange = Readonly<{ from: number; to: number }>;
/** A text; the range is known of long specs alone. */
export type Encoded = Readonly<{ bytes: Buffer; spec: SpecRange | undefined }>;

/** Specs of fewer characters are put into text anew, and logged each time: what they cost is not worth the parts. */
export const LONG_SPEC = 512;

const fieldTexts = new WeakMap<JsonObject, string>();

const fieldsText = (fields: JsonObject): string => {
  let text = fieldTexts.get(fields);
  if (text === undefined) {
    text = JSON.stringify(fields);
    fieldTexts.set(fields, text);
  }
  return text;
};

const entryText = (entry: ManagedFieldsEntry): string => {
  if (!isObject(entry) || !isObject(entry.fieldsV1)) return JSON.stringify(entry) ?? 'null';
  const { fieldsV1, ...rest } = entry;
  const others = JSON.stringify(rest);
  return `{"fieldsV1":${fieldsText(fieldsV1)}${others === '{}' ? '}' : `,${others.slice(1)}`}`;
};

const metadataText = (metadata: ObjectMeta): string => {
  const { managedFields, ...rest } = metadata;
  if (!Array.isArray(managedFields)) return JSON.stringify(metadata);
  const others = JSON.stringify(rest);
  const list = `"managedFields":[${managedFields.map(entryText).join(',')}]}`;
  return others === '{}' ? `{${list}` : `${others.slice(0, -1)},${list}`;
};

/** Puts an object into text. `before` is a text whose spec is the very same, if there is one. */
export const encodeObject = (object: KubeObject, before?: Encoded): Encoded => {
  let head = '';
  let spec: string | Buffer | undefined;
  let tail = '';
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (value === undefined) continue;
    const sign = `${head === '' ? '{' : ','}${JSON.stringify(key)}:`;
    if (key === 'spec') {
      head += sign;
      spec =
        before?.spec === undefined
          ? JSON.stringify(value)
          : before.bytes.subarray(before.spec.from, before.spec.to);
    } else {
      const text = sign + (key === 'metadata' ? metadataText(object.metadata) : JSON.stringify(value));
      if (spec === undefined) head += text;
      else tail += text;
    }
  }
  tail += '}';
  if (spec === undefined) return { bytes: Buffer.from(head + tail), spec: undefined };
  if (typeof spec === 'string' && spec.length < LONG_SPEC)
    return { bytes: Buffer.from(head + spec + tail), spec: undefined };
  const middle = typeof spec === 'string' ? Buffer.from(spec) : spec;
  const first = Buffer.from(head);
  return {
    bytes: Buffer.concat([first, middle, Buffer.from(tail)]),
    spec: { from: first.length, to: first.length + middle.length },
  };
};
