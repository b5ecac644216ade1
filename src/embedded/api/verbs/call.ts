/** One request to a resource, read and checked as far as all verbs need it. */
import type { User } from '../auth/user.js';
import { badRequest, invalid } from '../errors.js';
import type { KubeObject } from '../object.js';
import type { RequestInfo } from '../request/request-info.js';
import type { Registry } from '../resources/registry.js';
import type { ResourceType } from '../resources/resource-type.js';
import type { Store } from '../store/store.js';

/** What to do about fields that the schema does not know. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

/** What the verbs work on. */
export type Backend = Readonly<{
  store: Store;
  registry: Registry;
  nowMs: () => number;
}>;

/** A request to a resource. */
export type Call = Readonly<{
  backend: Backend;
  type: ResourceType;
  info: RequestInfo;
  query: URLSearchParams;
  user: User;
  /** Media type of the body, without parameters. */
  contentType: string;
  dryRun: boolean;
  fieldManager: string;
  fieldValidation: FieldValidation;
  /** Texts for the answer's Warning headers. */
  warnings: string[];
}>;

/** What a verb answers: an object with, if it is stored, its serialised form. */
export type Answer = Readonly<{ code: number; object: KubeObject; bytes?: Buffer }>;

/** Whether the request is a dry run. Throws for anything but `All`. */
export const dryRunOf = (values: readonly string[]): boolean => {
  for (const value of values) {
    if (value !== 'All' && value !== '')
      throw invalid('', 'Options', '', [
        { type: 'NotSupported', field: 'dryRun', value, detail: 'supported values: "All"' },
      ]);
  }
  return values.includes('All');
};

/** What the query says about unknown fields; Warn by default. */
export const fieldValidationOf = (text: string | null): FieldValidation => {
  if (text === null || text === '') return 'Warn';
  if (text === 'Strict' || text === 'Warn' || text === 'Ignore') return text;
  throw badRequest(
    `fieldValidation: Unsupported value: ${JSON.stringify(text)}: supported values: "Ignore", "Strict", "Warn"`,
  );
};

/** Name of the manager of a write: the query's, else the beginning of the user agent. */
export const fieldManagerOf = (query: URLSearchParams, userAgent: string): string =>
  query.get('fieldManager') || userAgent.split('/')[0]?.slice(0, 128) || 'unknown';
