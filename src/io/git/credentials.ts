/**
 * Credentials of a host, as the Runtime's Secret has them: keys of the types kubernetes.io/basic-auth (`username`,
 * `password`) and kubernetes.io/ssh-auth (`ssh-privatekey`), and `known_hosts` and `ca.crt`. Read at each fetch, so that
 * a Secret that was changed is used as soon as the kubelet has brought it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { CREDENTIAL_KEYS } from '../../decide/git/pod-parts.js';

export type Credentials = Readonly<Partial<Record<(typeof CREDENTIAL_KEYS)[number], string>>>;

const readKey = async (folder: string, key: string): Promise<string | undefined> => {
  try {
    return await readFile(join(folder, key), 'utf8');
  } catch {
    return undefined;
  }
};

/** What the folder of a host's Secret holds. */
export const readCredentials = async (folder: string): Promise<Credentials> =>
  Object.fromEntries(
    (
      await Promise.all(CREDENTIAL_KEYS.map(async (key) => [key, await readKey(folder, key)] as const))
    ).filter(([, value]) => value !== undefined),
  );

/** Strings that must not appear in any text. */
export const secretsOf = ({ username = '', password, 'ssh-privatekey': key }: Credentials): string[] => [
  ...(password === undefined
    ? []
    : [
        password,
        password.trimEnd(),
        encodeURIComponent(password.trimEnd()),
        Buffer.from(`${username.trimEnd()}:${password.trimEnd()}`).toString('base64'),
      ]),
  ...(key === undefined ? [] : key.split('\n').filter((line) => line.length > 16)),
];
