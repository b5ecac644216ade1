/** Names, labels, annotations, finalizers and owners: what may they look like, and what may change? */
import { randomBytes } from 'node:crypto';

import type { FieldError } from '../errors.js';
import { isObject } from '../json.js';
import type { KubeObject, ObjectMeta } from '../object.js';
import type { ResourceType } from '../resources/resource-type.js';
import { isLabelKey, isLabelValue } from '../select/labels.js';

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const qualifiedText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const valueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Annotations of one object, bytes in all. */
const maxAnnotationBytes = 256 * 1024;

const nameErrors = (type: ResourceType, name: string): FieldError[] => {
  const wrong = (detail: string): FieldError[] => [
    { type: 'Invalid', field: 'metadata.name', value: name, detail },
  ];
  switch (type.nameRule) {
    case 'path':
      if (name === '.' || name === '..') return wrong(`may not be '${name}'`);
      return /[/%]/.test(name) ? wrong(`may not contain '${name.includes('/') ? '/' : '%'}'`) : [];
    case 'label':
      if (name.length > 63) return wrong('must be no more than 63 characters');
      return label.test(name) ? [] : wrong(labelText);
    case 'subdomain':
      if (name.length > 253) return wrong('must be no more than 253 characters');
      return subdomain.test(name) ? [] : wrong(subdomainText);
  }
};

/** What is wrong with an object's metadata. */
export const metadataErrors = (type: ResourceType, metadata: ObjectMeta): FieldError[] => {
  const errors: FieldError[] = [];
  const name = metadata.name ?? '';
  if (name === '')
    errors.push({ type: 'Required', field: 'metadata.name', detail: 'name or generateName is required' });
  else errors.push(...nameErrors(type, name));
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!isLabelKey(key))
      errors.push({ type: 'Invalid', field: 'metadata.labels', value: key, detail: qualifiedText });
    if (typeof value === 'string' && value.length > 63) {
      errors.push({
        type: 'Invalid',
        field: 'metadata.labels',
        value,
        detail: 'must be no more than 63 bytes',
      });
    } else if (!isLabelValue(value))
      errors.push({ type: 'Invalid', field: 'metadata.labels', value, detail: valueText });
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    bytes += key.length + value.length;
    if (!isLabelKey(key.toLowerCase()))
      errors.push({ type: 'Invalid', field: 'metadata.annotations', value: key, detail: qualifiedText });
  }
  if (bytes > maxAnnotationBytes)
    errors.push({
      type: 'TooLong',
      field: 'metadata.annotations',
      detail: `may not be more than ${maxAnnotationBytes} bytes`,
    });
  (metadata.finalizers ?? []).forEach((finalizer, i) => {
    if (!finalizer.includes('/') && !['orphan', 'foregroundDeletion', 'kubernetes'].includes(finalizer)) {
      errors.push({
        type: 'Invalid',
        field: `metadata.finalizers[${i}]`,
        value: finalizer,
        detail: 'name is neither a standard finalizer name nor is it fully qualified',
      });
    }
  });
  const controllers = (metadata.ownerReferences ?? []).filter((owner) => owner.controller === true);
  if (controllers.length > 1)
    errors.push({
      type: 'Invalid',
      field: 'metadata.ownerReferences',
      value: metadata.ownerReferences,
      detail:
        'Only one reference can have Controller set to true. Found "true" in references for ' +
        controllers.map(({ name: owner }) => owner).join(' and '),
    });
  (metadata.ownerReferences ?? []).forEach((owner, i) => {
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!isObject(owner) || (owner[field] ?? '') === '')
        errors.push({
          type: 'Invalid',
          field: `metadata.ownerReferences[${i}].${field}`,
          value: '',
          detail: `${field === 'apiVersion' ? 'version' : field} must not be empty`,
        });
    }
  });
  return errors;
};

/** The new metadata with everything that only the server may set taken from the old one. */
export const keepServerFields = (metadata: ObjectMeta, old: ObjectMeta): ObjectMeta => {
  const kept: ObjectMeta = { ...metadata };
  const fields = [
    'name',
    'namespace',
    'generateName',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
  ] as const;
  for (const field of fields) {
    const value = old[field];
    if (value === undefined) delete kept[field];
    else Object.assign(kept, { [field]: value });
  }
  delete kept.selfLink;
  return kept;
};

/** What is wrong with a change of metadata. */
export const metadataChangeErrors = (object: KubeObject, old: KubeObject): FieldError[] => {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const before = new Set(old.metadata.finalizers ?? []);
  const added = (object.metadata.finalizers ?? []).filter((finalizer) => !before.has(finalizer));
  if (added.length === 0) return [];
  return [
    {
      type: 'Forbidden',
      field: 'metadata.finalizers',
      detail: `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((text) => JSON.stringify(text)).join(', ')}}`,
    },
  ];
};

/** Letters of generated names: no vowels, no digits that look like letters. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** A name that begins with the given text and ends with five random characters. */
export const generatedName = (prefix: string): string =>
  prefix.slice(0, 58) + [...randomBytes(5)].map((byte) => alphabet[byte % alphabet.length] ?? 'x').join('');
