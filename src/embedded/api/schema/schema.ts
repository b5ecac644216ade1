/** Structural schemas: the one form in which both built-in types and custom resources are described. */
import type { Json } from '../json.js';

/** One CEL rule (apiextensions ValidationRule). */
export interface Rule {
  rule: string;
  message?: string;
  messageExpression?: string;
  fieldPath?: string;
  reason?: string;
  optionalOldSelf?: boolean;
}

/** OpenAPI v3 schema as CRDs may hold it. Built-in types share their parts, so the graph may have cycles. */
export interface Schema {
  /** Name of a built-in type, such as io.k8s.api.core.v1.Container; how OpenAPI documents refer to it. */
  typeName?: string;
  /** What a field of a named type is for, beside what the type itself is. */
  fieldDescription?: string;
  type?: string;
  format?: string;
  description?: string;
  nullable?: boolean;
  properties?: { [name: string]: Schema };
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  enum?: Json[];
  default?: Json;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  not?: Schema;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-list-type'?: string;
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-map-type'?: string;
  'x-kubernetes-validations'?: Rule[];
  /** Strategic merge patch: `merge`, `replace`, `retainKeys`, comma-separated. */
  'x-kubernetes-patch-strategy'?: string;
  'x-kubernetes-patch-merge-key'?: string;
}

/** Schema of a member of an object, if the schema has one. */
export const memberSchema = (schema: Schema | undefined, key: string): Schema | undefined => {
  const { properties } = schema ?? {};
  // A client may well name a field `constructor`.
  if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key];
  const rest = schema?.additionalProperties;
  return typeof rest === 'object' ? rest : undefined;
};

/** Whether an object's members beyond the declared ones are kept. */
export const keepsUnknown = (schema: Schema): boolean =>
  schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;

/** Path of a member in the form of field errors. */
export const memberPath = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);
