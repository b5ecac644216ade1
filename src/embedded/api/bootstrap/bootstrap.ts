/** What a new control plane has before anybody asks it anything. Doing it again changes nothing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as yaml from 'js-yaml';

import { operatorAccount } from '../auth/static-tokens.js';
import { systemUser } from '../auth/user.js';
import { sameJson } from '../json.js';
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import { requestInfo } from '../request/request-info.js';
import type { ResourceType } from '../resources/resource-type.js';
import type { Backend, Call } from '../verbs/call.js';
import { createObject } from '../verbs/create.js';
import { readObject } from '../verbs/incoming.js';
import { updateObject } from '../verbs/update.js';
import { bootstrapRoles } from './roles.js';

/** The package's own CRDs: `crds/` beside the folder of this program, in a checkout and in a bundle alike. */
export const packagedCrds = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(folder, 'crds', 'kruntimes.io_runs.yaml'))) return join(folder, 'crds');
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('the folder crds of the package was not found; name it with --crds');
    folder = parent;
  }
};

/** A call of the server itself. */
export const ownCall = (
  backend: Backend,
  type: ResourceType,
  namespace: string,
  name: string,
  verb: string,
): Call => ({
  backend,
  type,
  info: {
    ...requestInfo('GET', '/', new URLSearchParams()),
    verb,
    group: type.group,
    version: type.version,
    resource: type.plural,
    namespace,
    name,
  },
  query: new URLSearchParams(),
  user: systemUser,
  contentType: 'application/json',
  dryRun: false,
  fieldManager: 'kruntimes-apiserver',
  fieldValidation: 'Strict',
  warnings: [],
});

const ensure = (backend: Backend, object: KubeObject): void => {
  const type = backend.registry.ofKind(object.apiVersion, object.kind);
  if (type === undefined) throw new Error(`nothing serves ${object.apiVersion} ${object.kind}`);
  const { name = '', namespace = '' } = object.metadata;
  const current = backend.store.head(type.storage, type.isNamespaced ? namespace : undefined, name)?.object;
  if (current === undefined) {
    const call = ownCall(backend, type, namespace, '', 'create');
    createObject(call, readObject(call, object));
    return;
  }
  const { metadata: _metadata, status: _status, ...wanted } = object;
  const isSame = Object.entries(wanted).every(([key, value]) => sameJson(current[key], value));
  if (isSame) return;
  const call = ownCall(backend, type, namespace, name, 'update');
  const next = readObject(call, { ...object, metadata: { ...current.metadata, ...object.metadata } });
  updateObject(
    call,
    { ...next, ...(current.status === undefined ? {} : { status: current.status }) },
    current,
  );
};

const namespace = (name: string): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

const crdsOf = (folder: string): KubeObject[] =>
  readdirSync(folder)
    .filter((file) => /\.ya?ml$/.test(file))
    .sort()
    .flatMap((file) =>
      yaml.loadAll(readFileSync(join(folder, file), 'utf8')).map((document) => {
        if (!isKubeObject(document))
          throw new Error(`${join(folder, file)} holds something that is no object`);
        return document;
      }),
    );

/** Creates the system's namespaces, roles and CRDs, and brings those up to date that an older version made. */
export const bootstrap = (backend: Backend, crdsFolder: string): void => {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease', operatorAccount.namespace])
    ensure(backend, namespace(name));
  ensure(backend, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { ...operatorAccount } });
  for (const role of bootstrapRoles) ensure(backend, role);
  for (const crd of crdsOf(crdsFolder)) ensure(backend, crd);
};
