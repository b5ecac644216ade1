/**
 * Grants: which ServiceAccounts of a namespace need runtimed's permissions?
 *
 * Those that its Runtimes' templates name, and our own account where a template names none. When the last Runtime that
 * uses an account has gone, so does the account's grant, but not before the pods of Runtimes that have gone: they still
 * write how their Runs end. A grant that is refused is asked for again.
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
  /** Per namespace, the accounts last asked for; none where nothing was ever. */
  const asked = new Map<string, ReadonlyArray<string>>();
  /** Namespaces whose grant is to shrink once pods are gone. */
  const waiting = new Set<string>();
  const again = deadlines<string>();

  const hasOrphans = (namespace: string): boolean => {
    for (const pod of world.pods.values())
      if (pod.namespace === namespace && !world.runtimes.has(pod.runtime)) return true;
    return false;
  };

  const look = (namespace: string, wasRefused = false): ReadonlyArray<Command> => {
    const needed = new Set<string>();
    for (const runtime of world.runtimes.values())
      if (runtime.namespace === namespace) needed.add(accountOf(runtime.spec.template));
    const before = asked.get(namespace) ?? [];
    const dropped = before.filter((account) => !needed.has(account));
    const isEarly = dropped.length > 0 && hasOrphans(namespace);
    if (isEarly) waiting.add(namespace);
    else waiting.delete(namespace);
    const accounts = [...needed, ...(isEarly ? dropped : [])].sort();
    if (!wasRefused && accounts.join(',') === before.join(',')) return [];
    if (accounts.length > 0) asked.set(namespace, accounts);
    else asked.delete(namespace);
    return [{ kind: 'EnsureGrant', namespace, accounts, ownAccount: accounts.includes(RUNTIMED_ACCOUNT) }];
  };

  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Change') {
        const { change } = news;
        if (change.kind === 'Runtime') return look((change.after ?? change.before)?.namespace ?? '');
        return change.kind === 'Pod' && change.before && waiting.has(change.before.namespace)
          ? look(change.before.namespace)
          : [];
      }
      const { command, kind } = news.outcome;
      if (command.kind === 'EnsureGrant' && kind === 'Failed')
        again.set(command.namespace, nowMs + REFUSED_MS);
      return [];
    },
    dueMs: again.nextMs,
    wake: (nowMs) => again.takeDue(nowMs).flatMap((namespace) => look(namespace, true)),
  };
};
