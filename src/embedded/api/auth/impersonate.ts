/** Acting as somebody else (`kubectl --as`): the Impersonate headers. */
import type { IncomingHttpHeaders } from 'node:http';

import { badRequest } from '../errors.js';
import type { User } from './user.js';
import { serviceAccountOf } from './user.js';

/** What the caller must be allowed to impersonate. */
export type ImpersonationTarget = Readonly<{
  group: string;
  resource: string;
  name: string;
  namespace: string;
}>;

const isAsked = (headers: IncomingHttpHeaders): boolean => {
  for (const header in headers) if (header.startsWith('impersonate-')) return true;
  return false;
};

/** Whom the headers ask to act as; undefined when they do not. Throws 400 for groups without a user. */
export const impersonationOf = (
  headers: IncomingHttpHeaders,
): { user: User; targets: ImpersonationTarget[] } | undefined => {
  if (!isAsked(headers)) return undefined;
  const name = String(headers['impersonate-user'] ?? '');
  const groupHeader = headers['impersonate-group'];
  const groups = (Array.isArray(groupHeader) ? groupHeader : (groupHeader ?? '').split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
  const extras = Object.entries(headers).filter(([header]) => header.startsWith('impersonate-extra-'));
  if (name === '') {
    if (groups.length > 0 || extras.length > 0)
      throw badRequest('requested impersonation without a user: set Impersonate-User');
    return undefined;
  }
  const asUser: User = { name, groups: [] };
  const account = serviceAccountOf(asUser);
  const own =
    account === undefined ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`];
  const user: User = {
    name,
    groups: [
      ...(groups.length === 0 ? own : groups),
      ...(name === 'system:anonymous' ? ['system:unauthenticated'] : ['system:authenticated']),
    ],
    ...(extras.length === 0
      ? {}
      : {
          extra: Object.fromEntries(
            extras.map(([header, value]) => [
              decodeURIComponent(header.slice('impersonate-extra-'.length)),
              [value].flat().map(String),
            ]),
          ),
        }),
  };
  const who: ImpersonationTarget =
    account === undefined
      ? { group: '', resource: 'users', name, namespace: '' }
      : { group: '', resource: 'serviceaccounts', name: account.name, namespace: account.namespace };
  return {
    user,
    targets: [
      who,
      ...groups.map((group) => ({ group: '', resource: 'groups', name: group, namespace: '' })),
      ...extras.map(([header]) => ({
        group: 'authentication.k8s.io',
        resource: 'userextras',
        name: header.slice('impersonate-extra-'.length),
        namespace: '',
      })),
    ],
  };
};
