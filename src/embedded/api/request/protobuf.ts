/**
 * Reads Kubernetes' protobuf form of built-in kinds, which typed Go clients send. Answers are JSON: such clients
 * accept both.
 */
import { badRequest, unsupportedMediaType } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { isObject, textOf } from '../json.js';
import { builtinFieldNumbers } from '../schema/builtin-field-numbers.js';
import { builtinTypes } from '../schema/builtin-types.js';

/** Media type of the protobuf form. */
export const protobufType = 'application/vnd.kubernetes.protobuf';

const magic = Buffer.from('k8s\0');

type Field = Readonly<{ number: number; value: bigint | Buffer }>;

const truncated = (): Error => badRequest('the protobuf body ends in the middle of a field');

/** The fields of one message, in order. */
const fieldsOf = function* (bytes: Buffer): Generator<Field> {
  let i = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[i];
      if (byte === undefined || shift > 63n) throw truncated();
      i += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
  };
  const take = (length: number): Buffer => {
    if (i + length > bytes.length) throw truncated();
    i += length;
    return bytes.subarray(i - length, i);
  };
  while (i < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    switch (Number(key & 7n)) {
      case 0:
        yield { number, value: varint() };
        break;
      case 1:
        yield { number, value: take(8) };
        break;
      case 2:
        yield { number, value: take(Number(varint())) };
        break;
      case 5:
        yield { number, value: take(4) };
        break;
      default:
        throw badRequest('the protobuf body has a field of an unknown form');
    }
  }
};

type TypeTable = Readonly<{ types: ReadonlyMap<string, string>; names: ReadonlyMap<number, string> }>;
const tables = new Map<string, TypeTable>();

const words = (line: string | undefined): string[] => (line ?? '').split(' ').filter((word) => word !== '');

const tableOf = (type: string): TypeTable => {
  let table = tables.get(type);
  if (table === undefined) {
    table = {
      types: new Map(
        words(builtinTypes[type]).map((word) => [
          word.slice(0, word.indexOf(':')).replace(/\?$/, ''),
          word.slice(word.indexOf(':') + 1),
        ]),
      ),
      names: new Map(
        words(builtinFieldNumbers[type]).map((word) => [
          Number(word.slice(0, word.indexOf(':'))),
          word.slice(word.indexOf(':') + 1),
        ]),
      ),
    };
    tables.set(type, table);
  }
  return table;
};

const bytesOf = ({ value }: Field): Buffer => {
  if (Buffer.isBuffer(value)) return value;
  throw badRequest('the protobuf body has a number where a text or message belongs');
};
const numberOf = ({ value }: Field): number => {
  if (typeof value === 'bigint') return Number(BigInt.asIntN(64, value));
  if (value.length === 8) return value.readDoubleLE();
  if (value.length === 4) return value.readFloatLE();
  throw badRequest('the protobuf body has a text or message where a number belongs');
};

const member = (message: Buffer, number: number): Field | undefined =>
  [...fieldsOf(message)].find((field) => field.number === number);

/** Times that a Date can hold (ECMAScript, "Time Values and Time Range"). */
const MAX_DATE_MS = 8.64e15;

const time = (message: Buffer, digits: number): Json | undefined => {
  if (message.length === 0) return undefined;
  const seconds = member(message, 1);
  const nanos = member(message, 2);
  const ms = (seconds === undefined ? 0 : numberOf(seconds)) * 1000;
  const fraction = String(nanos === undefined ? 0 : numberOf(nanos))
    .padStart(9, '0')
    .slice(0, digits);
  if (!(Math.abs(ms) <= MAX_DATE_MS)) throw badRequest('the protobuf body has a time beyond the calendar');
  return `${new Date(ms).toISOString().slice(0, 19)}${digits === 0 ? '' : `.${fraction}`}Z`;
};

const intOrString = (message: Buffer): Json => {
  const kind = member(message, 1);
  const isText = kind !== undefined && numberOf(kind) === 1;
  const value = member(message, isText ? 3 : 2);
  if (value === undefined) return isText ? '' : 0;
  return isText ? bytesOf(value).toString() : numberOf(value);
};

const jsonOf = (raw: Buffer): Json => {
  try {
    return JSON.parse(raw.toString()) as Json;
  } catch {
    throw badRequest('the protobuf body has an embedded object that is not JSON');
  }
};

const single = (type: string, field: Field): Json | undefined => {
  switch (type) {
    case 'string':
      return bytesOf(field).toString();
    case 'bool':
      return numberOf(field) !== 0;
    case 'int32':
    case 'int64':
    case 'double':
      return numberOf(field);
    case 'bytes':
      return bytesOf(field).toString('base64');
    case 'time':
      return time(bytesOf(field), 0);
    case 'microtime':
      return time(bytesOf(field), 6);
    case 'intstr':
      return intOrString(bytesOf(field));
    case 'quantity': {
      const text = member(bytesOf(field), 1);
      return text === undefined ? '0' : bytesOf(text).toString();
    }
    case 'any': {
      const raw = member(bytesOf(field), 1);
      return raw === undefined ? undefined : jsonOf(bytesOf(raw));
    }
    default:
      return message(type, bytesOf(field));
  }
};

const addTo = (object: JsonObject, name: string, type: string, field: Field): void => {
  if (type.startsWith('[')) {
    const value = single(type.slice(1, -1), field);
    const list = object[name];
    if (value !== undefined) object[name] = [...(Array.isArray(list) ? list : []), value];
  } else if (type.startsWith('{')) {
    const inner = type.slice(1, -1);
    const entry = bytesOf(field);
    const key = member(entry, 1);
    const value = member(entry, 2);
    const known = object[name];
    let read: Json | undefined;
    if (value === undefined) read = inner === 'string' || inner === 'bytes' ? '' : undefined;
    else if (inner.startsWith('[')) {
      // A list inside a map travels as a message with one repeated field.
      read = [...fieldsOf(bytesOf(value))].map((item) => single(inner.slice(1, -1), item) ?? null);
    } else read = single(inner, value);
    object[name] = {
      ...(isObject(known) ? known : {}),
      ...(read === undefined ? {} : { [key === undefined ? '' : bytesOf(key).toString()]: read }),
    };
  } else {
    const value = single(type, field);
    // Go writes the empty text for one that is not set.
    if (value !== undefined && value !== '') object[name] = value;
  }
};

/** Reads a message; `outer` is the type whose fields an inlined message has. */
const message = (type: string, bytes: Buffer, outer = type): JsonObject => {
  const { names } = tableOf(type);
  const { types } = tableOf(outer);
  const object: JsonObject = {};
  for (const field of fieldsOf(bytes)) {
    const name = names.get(field.number);
    if (name === undefined) continue;
    if (name.startsWith('^')) Object.assign(object, message(name.slice(1), bytesOf(field), outer));
    else {
      const fieldType = types.get(name);
      if (fieldType !== undefined) addTo(object, name, fieldType, field);
    }
  }
  return object;
};

/** The object of a protobuf body. Throws 400 for a malformed one, 415 for a kind that is only known as JSON. */
export const readProtobuf = (body: Buffer): Json => {
  if (!body.subarray(0, 4).equals(magic))
    throw badRequest('the body is not in Kubernetes\' protobuf form: its first bytes are not "k8s"');
  const envelope = body.subarray(4);
  const typeMeta = member(envelope, 1);
  const raw = member(envelope, 2);
  const meta = typeMeta === undefined ? Buffer.alloc(0) : bytesOf(typeMeta);
  const versionField = member(meta, 1);
  const kindField = member(meta, 2);
  const apiVersion = versionField === undefined ? '' : bytesOf(versionField).toString();
  const kind = kindField === undefined ? '' : bytesOf(kindField).toString();
  const type = apiVersion === 'events.k8s.io/v1' && kind === 'Event' ? 'EventsV1Event' : kind;
  if (builtinFieldNumbers[type] === undefined)
    throw unsupportedMediaType(['application/json', 'application/yaml']);
  const object = message(type, raw === undefined ? Buffer.alloc(0) : bytesOf(raw));
  return { apiVersion: textOf(apiVersion), kind, ...object };
};
