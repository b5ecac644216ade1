/**
 * Grants: which ServiceAccounts of a namespace need runtimed's permissions?
 *
 * Those that its Runtimes' templates name, and our own account where a template names none. When the last Runtime
 * that uses an account goes, so does the account's grant.
 */
import type { Command } from '../model/command.js';
import { RUNTIMED_ACCOUNT } from '../model/names.js';
import type { World, WorldChange } from '../model/world.js';

/** The ServiceAccount of a Runtime's pods. */
export const accountOf = (template: Readonly<{ spec: Readonly<{ serviceAccountName?: string }> }>): string =>
  template.spec.serviceAccountName || RUNTIMED_ACCOUNT;

/** A function of changes that remembers per namespace what it last asked for. */
export const grants = (world: World): ((change: WorldChange) => ReadonlyArray<Command>) => {
  const asked = new Map<string, string>();
  return (change) => {
    if (change.kind !== 'Runtime') return [];
    const namespace = (change.after ?? change.before)?.namespace ?? '';
    const accounts = [
      ...new Set(
        [...world.runtimes.values()]
          .filter((runtime) => runtime.namespace === namespace && !runtime.deleting)
          .map(({ spec }) => accountOf(spec.template)),
      ),
    ].sort();
    if (asked.get(namespace) === accounts.join(',')) return [];
    asked.set(namespace, accounts.join(','));
    return [{ kind: 'EnsureGrant', namespace, accounts, ownAccount: accounts.includes(RUNTIMED_ACCOUNT) }];
  };
};
