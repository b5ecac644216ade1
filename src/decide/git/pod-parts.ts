/** What of a pod is for Git sources: the Secrets with credentials, for runtimed alone, and the settings. */
import type { GitOrder, GitSpec } from '../../model/git.js';
import { credentialsHost } from './remote.js';

/** The volume with credentials. */
export const GIT_VOLUME = 'kruntimes-git-credentials';
const CREDENTIALS_PATH = '/var/run/secrets/kruntimes.io/git';

/** The keys of a Secret that are looked at: of kubernetes.io/basic-auth, of kubernetes.io/ssh-auth, and two of ours. */
export const CREDENTIAL_KEYS = ['username', 'password', 'ssh-privatekey', 'known_hosts', 'ca.crt'] as const;

const orderOf = ({ credentials = [], timeout, maxBytes, cacheBytes, diskBytes }: GitSpec): GitOrder => ({
  hosts: credentials.map(({ host }) => credentialsHost(host)),
  ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  ...(maxBytes === undefined ? {} : { maxBytes }),
  ...(cacheBytes === undefined ? {} : { cacheBytes }),
  ...(diskBytes === undefined ? {} : { diskBytes }),
});

/**
 * Environment, mounts and volumes of runtimed. The Secrets are optional and read at each fetch: one that is missing
 * fails the Runs that need it, with its host in the message, and not the pods.
 */
export const gitParts = (git: GitSpec = {}) => {
  const { credentials = [] } = git;
  const env =
    Object.keys(git).length === 0 ? [] : [{ name: 'KRUNTIME_GIT', value: JSON.stringify(orderOf(git)) }];
  if (credentials.length === 0) return { env, mounts: [], volumes: [] };
  return {
    env: [...env, { name: 'KRUNTIME_GIT_CREDENTIALS_DIR', value: CREDENTIALS_PATH }],
    mounts: [{ name: GIT_VOLUME, mountPath: CREDENTIALS_PATH, readOnly: true }],
    volumes: [
      {
        name: GIT_VOLUME,
        projected: {
          defaultMode: 0o440,
          sources: credentials.map(({ secretName }, at) => ({
            secret: {
              name: secretName,
              optional: true,
              items: CREDENTIAL_KEYS.map((key) => ({ key, path: `${at}/${key}` })),
            },
          })),
        },
      },
    ],
  };
};
