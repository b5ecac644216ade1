/** What a CustomResourceDefinition serves: one resource type per served version. */
import type { FieldError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, at, isObject, objectOf, textOf, textsOf } from '../json.js';
import type { KubeObject } from '../object.js';
import { compileRule } from '../schema/cel.js';
import type { Rule, Schema } from '../schema/schema.js';
import { ageOf } from '../table/age.js';
import { atJsonPath } from '../table/json-path.js';
import { ageColumn } from '../table/table.js';
import type { Column, ResourceType, ScalePaths } from './resource-type.js';

/** A schema from a CRD's text. Its own form was checked by `crdProblems`. */
const schemaOf = (json: Json | undefined): Schema =>
  isObject(json) ? (json as Schema) : { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

const columnType = (text: string): Column['type'] =>
  text === 'integer' || text === 'number' || text === 'boolean' || text === 'date' ? text : 'string';

const columnOf = (json: JsonObject): Column => {
  const path = textOf(json.jsonPath);
  const type = columnType(textOf(json.type));
  return {
    name: textOf(json.name),
    type,
    format: textOf(json.format),
    description:
      textOf(json.description) || `Custom resource definition column (in JSONPath format): ${path}`,
    priority: typeof json.priority === 'number' ? json.priority : 0,
    cell: (object, nowMs) => {
      const [value] = atJsonPath(object, path);
      if (value === undefined || value === null) return null;
      if (type === 'date') return ageOf(value, nowMs);
      if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value);
      return value;
    },
  };
};

const stepsOf = (path: string): string[] => path.split('.').filter((step) => step !== '');

const scaleOf = (json: Json | undefined): ScalePaths | undefined => {
  if (!isObject(json)) return undefined;
  const selector = textOf(json.labelSelectorPath);
  return {
    replicas: stepsOf(textOf(json.specReplicasPath)),
    status: stepsOf(textOf(json.statusReplicasPath)),
    ...(selector === '' ? {} : { selector: stepsOf(selector) }),
  };
};

const fieldReader = (path: string): ((object: JsonObject) => string) => {
  const steps = stepsOf(path);
  return (object) => {
    const value = at(object, ...steps);
    return value === undefined || value === null ? '' : String(value as string | number | boolean);
  };
};

/** The resource types of a CRD's served versions. */
export const typesOfCrd = (crd: KubeObject): ResourceType[] => {
  const spec = objectOf(crd.spec);
  const names = objectOf(spec.names);
  const group = textOf(spec.group);
  const plural = textOf(names.plural);
  const kind = textOf(names.kind);
  const versions = arrayOf(spec.versions).filter(isObject);
  const storageVersion = textOf(versions.find((version) => version.storage === true)?.name);
  return versions
    .filter((version) => version.served === true)
    .map((version) => {
      const name = textOf(version.name);
      const scale = scaleOf(at(version, 'subresources', 'scale'));
      const columns = arrayOf(version.additionalPrinterColumns).filter(isObject).map(columnOf);
      const selectable = arrayOf(version.selectableFields)
        .filter(isObject)
        .map((field) => textOf(field.jsonPath));
      return {
        group,
        version: name,
        kind,
        listKind: textOf(names.listKind) || `${kind}List`,
        plural,
        singular: textOf(names.singular) || kind.toLowerCase(),
        shortNames: textsOf(names.shortNames),
        categories: textsOf(names.categories),
        isNamespaced: spec.scope === 'Namespaced',
        isCustom: true,
        storage: `${group}/${plural}`,
        schema: schemaOf(at(version, 'schema', 'openAPIV3Schema')),
        hasStatus: isObject(at(version, 'subresources', 'status')),
        ...(scale === undefined ? {} : { scale }),
        columns: columns.length === 0 ? [ageColumn] : columns,
        fields: Object.fromEntries(selectable.map((path) => [path.replace(/^\./, ''), fieldReader(path)])),
        ...(name === storageVersion
          ? {}
          : {
              toServed: (object: KubeObject) => ({ ...object, apiVersion: `${group}/${name}` }),
              toStored: (object: KubeObject) => ({ ...object, apiVersion: `${group}/${storageVersion}` }),
            }),
        nameRule: 'subdomain',
        answersDeleted: false,
        allowsUnconditionalUpdate: false,
        createsOnUpdate: false,
        hasGeneration: true,
      } satisfies ResourceType;
    });
};

const ruleProblems = (schema: Schema, path: string): FieldError[] => [
  ...(schema['x-kubernetes-validations'] ?? []).flatMap((rule: Rule, i): FieldError[] => {
    try {
      compileRule(rule);
      return [];
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return [
        {
          type: 'Invalid',
          field: `${path}.x-kubernetes-validations[${i}].rule`,
          value: rule.rule,
          detail: `compilation failed: ${why}`,
        },
      ];
    }
  }),
  ...Object.entries(schema.properties ?? {}).flatMap(([name, part]) =>
    ruleProblems(part, `${path}.properties[${name}]`),
  ),
  ...(schema.items === undefined ? [] : ruleProblems(schema.items, `${path}.items`)),
  ...(typeof schema.additionalProperties === 'object'
    ? ruleProblems(schema.additionalProperties, `${path}.additionalProperties`)
    : []),
];

/** What is wrong with a CRD, as far as serving it needs it right. */
export const crdProblems = (crd: KubeObject): FieldError[] => {
  const spec = objectOf(crd.spec);
  const names = objectOf(spec.names);
  const errors: FieldError[] = [];
  const required = (field: string, value: Json | undefined): void => {
    if (textOf(value) === '') errors.push({ type: 'Required', field, detail: '' });
  };
  required('spec.group', spec.group);
  required('spec.names.plural', names.plural);
  required('spec.names.kind', names.kind);
  const expected = `${textOf(names.plural)}.${textOf(spec.group)}`;
  if (errors.length === 0 && crd.metadata.name !== expected) {
    errors.push({
      type: 'Invalid',
      field: 'metadata.name',
      value: crd.metadata.name ?? '',
      detail: `must be spec.names.plural+"."+spec.group`,
    });
  }
  if (spec.scope !== 'Namespaced' && spec.scope !== 'Cluster') {
    errors.push({
      type: 'NotSupported',
      field: 'spec.scope',
      value: textOf(spec.scope),
      detail: 'supported values: "Cluster", "Namespaced"',
    });
  }
  const versions = arrayOf(spec.versions).filter(isObject);
  if (versions.filter((version) => version.storage === true).length !== 1) {
    errors.push({
      type: 'Invalid',
      field: 'spec.versions',
      value: versions.map(({ name }) => textOf(name)),
      detail: 'must have exactly one version marked as storage version',
    });
  }
  versions.forEach((version, i) => {
    const schema = at(version, 'schema', 'openAPIV3Schema');
    if (!isObject(schema))
      errors.push({
        type: 'Required',
        field: `spec.versions[${i}].schema.openAPIV3Schema`,
        detail: 'schemas are required',
      });
    else errors.push(...ruleProblems(schemaOf(schema), `spec.versions[${i}].schema.openAPIV3Schema`));
  });
  return errors;
};
