/** The kubeconfigs of a control plane: for people, for the operator, for the kubelet. */
import { readFileSync } from 'node:fs';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import * as yaml from 'js-yaml';

import { writeFileAtomically } from '../kubelet/files.js';
import type { Folder } from './folder.js';

/** Name of the context, cluster and user. */
const CONTEXT = 'kruntimes';

const Tokens = t.type({ admin: t.string, operator: t.string, kubelet: t.string });

export const kubeconfigText = (server: string, ca: string, token: string): string =>
  yaml.dump({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': CONTEXT,
    contexts: [{ name: CONTEXT, context: { cluster: CONTEXT, user: CONTEXT, namespace: 'default' } }],
    clusters: [
      {
        name: CONTEXT,
        cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') },
      },
    ],
    users: [{ name: CONTEXT, user: { token } }],
  });

const writeIfChanged = (path: string, text: string): void => {
  try {
    if (readFileSync(path, 'utf8') === text) return;
  } catch {
    // Not there yet.
  }
  writeFileAtomically(path, text, 0o600);
};

/** Writes all three, 0600. Throws when the API server has left no usable tokens. */
export const writeKubeconfigs = (folder: Folder, server: string): void => {
  const tokens = Tokens.decode(JSON.parse(readFileSync(folder.tokens, 'utf8')));
  if (E.isLeft(tokens))
    throw new Error(`${folder.tokens} lacks a token; remove it and start again to have new ones made`);
  const ca = readFileSync(folder.ca, 'utf8');
  writeIfChanged(folder.kubeconfig, kubeconfigText(server, ca, tokens.right.admin));
  writeIfChanged(folder.operatorKubeconfig, kubeconfigText(server, ca, tokens.right.operator));
  writeIfChanged(folder.kubeletKubeconfig, kubeconfigText(server, ca, tokens.right.kubelet));
};
