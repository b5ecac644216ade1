/** Who is asking. */

/** An authenticated (or anonymous) caller. */
export type User = Readonly<{
  name: string;
  uid?: string;
  groups: readonly string[];
  extra?: Readonly<Record<string, readonly string[]>>;
}>;

/** Extra keys of a ServiceAccount token that is bound to a Pod. */
export const podNameExtra = 'authentication.kubernetes.io/pod-name';
export const podUidExtra = 'authentication.kubernetes.io/pod-uid';

/** A caller without credentials. */
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** The server itself, for what it does on its own account. */
export const systemUser: User = {
  name: 'system:apiserver',
  groups: ['system:masters', 'system:authenticated'],
};

/** Namespace and name of a ServiceAccount user, undefined for other users. */
export const serviceAccountOf = (user: User): { namespace: string; name: string } | undefined => {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user.name);
  return match === null ? undefined : { namespace: match[1] ?? '', name: match[2] ?? '' };
};
