/** The bearer tokens of the control plane's own parts, kept in a file that only its owner can read. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isLeft } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { User } from './user.js';

const StaticTokens = t.readonly(t.type({ admin: t.string, operator: t.string, kubelet: t.string }));
/** Who has which token. */
export type StaticTokens = t.TypeOf<typeof StaticTokens>;

/** Namespace and ServiceAccount that the operator acts as. */
export const operatorAccount = { namespace: 'kruntimes-system', name: 'kruntimes-controller' };

const users: Readonly<Record<keyof StaticTokens, User>> = {
  admin: { name: 'kruntimes-admin', groups: ['system:masters', 'system:authenticated'] },
  operator: {
    name: `system:serviceaccount:${operatorAccount.namespace}:${operatorAccount.name}`,
    groups: [
      'system:serviceaccounts',
      `system:serviceaccounts:${operatorAccount.namespace}`,
      'system:authenticated',
    ],
  },
  kubelet: {
    name: 'system:node:kruntimes',
    groups: ['system:masters', 'system:nodes', 'system:authenticated'],
  },
};

/** Reads `<dataDir>/tokens.json`, or makes it. Throws when it is there but not readable as tokens. */
export const loadStaticTokens = (dataDir: string): StaticTokens => {
  const file = join(dataDir, 'tokens.json');
  if (!existsSync(file)) {
    const made: StaticTokens = { admin: token(), operator: token(), kubelet: token() };
    writeFileSync(`${file}.tmp`, `${JSON.stringify(made, null, 2)}\n`, { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  }
  const read = StaticTokens.decode(JSON.parse(readFileSync(file, 'utf8')));
  if (isLeft(read))
    throw new Error(
      `${file} does not hold the tokens admin, operator and kubelet; remove it to have new ones made`,
    );
  return read.right;
};

const token = (): string => randomBytes(32).toString('base64url');

/** The user of a static token; compared in constant time. */
export const staticUser = (tokens: StaticTokens, presented: string): User | undefined => {
  const bytes = Buffer.from(presented);
  for (const name of ['admin', 'operator', 'kubelet'] as const) {
    const known = Buffer.from(tokens[name]);
    if (known.length === bytes.length && timingSafeEqual(known, bytes)) return users[name];
  }
  return undefined;
};
