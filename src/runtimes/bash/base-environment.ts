/**
 * The environment every execution has before its own: the server's, less what is the system's business. The pod's uid
 * stays, since it is the sign by which the process kubelet finds what a pod has left behind.
 */
const kept = new Set(['KRUNTIME_POD_UID']);

export const baseEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('KRUNTIME_') || kept.has(name)));
