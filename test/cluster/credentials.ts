/** The keys, certificates, tokens and kubeconfigs of a control plane that lives for one test run. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { createAuthority, issueCertificate } from '../../src/io/session/certificates.js';

/** Who may call. `kubelet` is the process kubelet, which also binds pods; `node` the real one of node-1. */
export type Caller = 'admin' | 'controllers' | 'kubelet' | 'scheduler' | 'node' | 'proxy';

const callers: Readonly<Record<Caller, Readonly<{ name: string; groups: ReadonlyArray<string> }>>> = {
  admin: { name: 'admin', groups: ['system:masters'] },
  controllers: { name: 'system:kube-controller-manager', groups: [] },
  // No system:node: it does a scheduler's work, too, and a Node may not.
  kubelet: { name: 'process-kubelet', groups: ['system:masters'] },
  scheduler: { name: 'system:kube-scheduler', groups: [] },
  node: { name: 'system:node:node-1', groups: ['system:nodes'] },
  proxy: { name: 'system:kube-proxy', groups: [] },
};

/** Files and tokens. */
export type Credentials = Readonly<{
  caFile: string;
  caPem: string;
  certificateFile: string;
  keyFile: string;
  /** Keys that sign ServiceAccount tokens. */
  accountKeyFile: string;
  accountPublicKeyFile: string;
  tokensFile: string;
  tokens: Readonly<Record<Caller, string>>;
}>;

/** Makes all of them below the folder. The API server answers at these addresses, too. */
export const makeCredentials = async (
  folder: string,
  addresses: ReadonlyArray<string>,
): Promise<Credentials> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const authority = await createAuthority();
  const serving = await issueCertificate(authority, [
    '127.0.0.1',
    'localhost',
    'kubernetes.default.svc',
    ...addresses,
  ]);
  const account = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const token = (): string => randomBytes(24).toString('hex');
  const tokens = {
    admin: token(),
    controllers: token(),
    kubelet: token(),
    scheduler: token(),
    node: token(),
    proxy: token(),
  };
  const lines = (Object.keys(callers) as ReadonlyArray<Caller>).map((caller) => {
    const { name, groups } = callers[caller];
    return `${tokens[caller]},${name},${caller},"${groups.join(',')}"\n`;
  });
  return {
    caFile: file('ca.crt', authority.certificate),
    caPem: authority.certificate,
    certificateFile: file('server.crt', serving.certificate),
    keyFile: file('server.key', serving.privateKey),
    accountKeyFile: file('accounts.key', account.privateKey),
    accountPublicKeyFile: file('accounts.pub', account.publicKey),
    tokensFile: file('tokens.csv', lines.join('')),
    tokens,
  };
};

/** Text of a kubeconfig for one bearer. JSON is YAML. */
export const kubeconfigText = (server: string, caPem: string, token: string): string =>
  `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [
        {
          name: 'test',
          cluster: { server, 'certificate-authority-data': Buffer.from(caPem).toString('base64') },
        },
      ],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'default' } }],
    },
    undefined,
    2,
  )}\n`;
