/** Who presents this token? */
import type { Store } from '../store/store.js';
import type { ServiceAccountTokens } from './service-account-tokens.js';
import { apiAudience } from './service-account-tokens.js';
import type { StaticTokens } from './static-tokens.js';
import { staticUser } from './static-tokens.js';
import type { User } from './user.js';

/** A user and the audiences its token is good for; undefined audiences mean any. */
export type Authenticated = Readonly<{ user: User; audiences: readonly string[] | undefined }>;

/** Finds the user of a bearer token, whatever its audience. */
export const authenticateToken = (
  tokens: StaticTokens,
  accounts: ServiceAccountTokens,
  store: Store,
  nowMs: number,
  token: string,
): Authenticated | undefined => {
  if (token === '') return undefined;
  const known = staticUser(tokens, token);
  return known === undefined ? accounts.check(token, nowMs, store) : { user: known, audiences: undefined };
};

/** The user of a token, if it is good for this API. */
export const apiUser = (found: Authenticated | undefined): User | undefined =>
  found !== undefined && (found.audiences === undefined || found.audiences.includes(apiAudience))
    ? found.user
    : undefined;

/** The token of an Authorization header, empty when there is none. */
export const bearerToken = (header: string | undefined): string =>
  /^bearer\s+(\S+)\s*$/i.exec(header ?? '')?.[1] ?? '';
