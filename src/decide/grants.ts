/**
 * Grants: which ServiceAccounts of a namespace need runtimed's permissions?
 *
 * Those that its Runtimes' templates name, and our own account where a template names none. When the last Runtime
 * that uses an account goes, so does the account's grant. A grant that is refused is asked for again.
 */
import type { Command } from '../model/command.js';
import { RUNTIMED_ACCOUNT } from '../model/names.js';
import type { News } from '../model/news.js';
import type { World } from '../model/world.js';
import { deadlines } from './deadlines.js';
import type { TimedMachine } from './timed-machine.js';

/** Wait before a refused grant is asked for again, milliseconds: somebody has to mend permissions meanwhile. */
export const REFUSED_MS = 5000;

/** The ServiceAccount of a Runtime's pods. */
export const accountOf = (template: Readonly<{ spec: Readonly<{ serviceAccountName?: string }> }>): string =>
  template.spec.serviceAccountName || RUNTIMED_ACCOUNT;

/** The machine behind `streams/pipelines/grants.ts`. */
export const grants = (world: World): TimedMachine<News, Command> => {
  /** Per namespace, the accounts last asked for. */
  const asked = new Map<string, string>();
  const again = deadlines<string>();

  const look = (namespace: string): ReadonlyArray<Command> => {
    const needed = [...world.runtimes.values()]
      .filter((runtime) => runtime.namespace === namespace && !runtime.deleting)
      .map(({ spec }) => accountOf(spec.template));
    const accounts = [...new Set(needed)].sort();
    if (asked.get(namespace) === accounts.join(',')) return [];
    asked.set(namespace, accounts.join(','));
    return [{ kind: 'EnsureGrant', namespace, accounts, ownAccount: accounts.includes(RUNTIMED_ACCOUNT) }];
  };

  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Change')
        return news.change.kind === 'Runtime'
          ? look((news.change.after ?? news.change.before)?.namespace ?? '')
          : [];
      const { command, kind } = news.outcome;
      if (command.kind === 'EnsureGrant' && kind === 'Failed')
        again.set(command.namespace, nowMs + REFUSED_MS);
      return [];
    },
    dueMs: again.nextMs,
    wake: (nowMs) =>
      again.takeDue(nowMs).flatMap((namespace) => {
        asked.delete(namespace);
        return look(namespace);
      }),
  };
};
