import { userInfo } from 'node:os';

/**
 * The environment every execution has before its own: the server's, less what is the system's business. The pod's uid
 * stays, since it is the sign by which the process kubelet finds what a pod has left behind.
 */
const kept = new Set(['KRUNTIME_POD_UID']);

export const baseEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('KRUNTIME_') || kept.has(name)));

/**
 * What bash takes for the value of SHELL where its environment has none: the user's, or /bin/sh where the system does not know
 * the user. Told to a waiting shell, it spares every one of them a look at the databases of users.
 */
export const loginShell = (): string => {
  try {
    return userInfo().shell || '/bin/sh';
  } catch {
    return '/bin/sh';
  }
};
