/**
 * `krt __complete WORD...`: what may stand for the last word, one per line as `word<TAB>meaning`. Called by the
 * completion scripts; a first line that starts with `:` tells the shell to complete files or folders itself.
 *
 * Never fails and never waits long: without a cluster there is simply nothing to offer.
 */
import { namespaces, runs, runtimes } from '../../model/resources.js';
import type { Krt } from '../krt.js';
import { createProgram } from '../program.js';
import { readRun } from '../run/read-run.js';
import { type Candidate, type Candidates, candidatesFor } from './candidates.js';

/** Whoever presses TAB waits no longer. */
const LIMIT_MS = 2_000;
const MAX_NAMES = 500;

const flagValue = (words: ReadonlyArray<string>, ...names: ReadonlyArray<string>): string | undefined => {
  for (const [i, word] of words.entries()) {
    if (names.includes(word)) return words[i + 1];
    const name = names.find((each) => each.startsWith('--') && word.startsWith(`${each}=`));
    if (name) return word.slice(name.length + 1);
  }
  return undefined;
};

/** Asks the cluster that the words choose. */
const names = async (
  wanted: Extract<Candidates, { kind: 'names' } | { kind: 'namespaces' }>,
  words: ReadonlyArray<string>,
  krt: Krt,
): Promise<ReadonlyArray<Candidate>> => {
  const typed = words.slice(0, -1);
  const { api, namespace } = await krt.openCluster({
    kubeconfig: flagValue(typed, '--kubeconfig'),
    context: flagValue(typed, '--context'),
    namespace: flagValue(typed, '-n', '--namespace'),
    requestTimeoutMs: LIMIT_MS,
    verbose: false,
  });
  if (wanted.kind === 'namespaces') {
    const { rows } = await api.table(namespaces, {});
    return rows.map(({ name }) => ({ word: name, meaning: '' }));
  }
  if (wanted.noun === 'run' || wanted.noun === 'runtime') {
    const { columns, rows } = await api.table(wanted.noun === 'run' ? runs : runtimes, { namespace });
    const telling = columns.findIndex(({ name }) => name === (wanted.noun === 'run' ? 'Phase' : 'Busy'));
    return rows
      .slice(0, MAX_NAMES)
      .map(({ name, cells }) => ({ word: name, meaning: String(cells[telling] ?? '') }));
  }
  if (wanted.run === undefined) return [];
  const { status } = readRun(await api.get(runs, { namespace, name: wanted.run }), wanted.run);
  return wanted.noun === 'output'
    ? Object.keys(status?.outputs ?? {})
        .sort()
        .map((word) => ({ word, meaning: '' }))
    : (status?.artifactRefs ?? []).map(({ name, type }) => ({ word: name, meaning: type }));
};

const contexts = async (words: ReadonlyArray<string>, krt: Krt): Promise<ReadonlyArray<Candidate>> => {
  const { contextNames } = await import('./context-names.js');
  return (await contextNames(flagValue(words, '--kubeconfig'), krt.env)).map((word) => ({
    word,
    meaning: '',
  }));
};

/** The text that answers the shell. */
export const completionsFor = async (words: ReadonlyArray<string>, krt: Krt): Promise<string> => {
  const candidates = candidatesFor(
    createProgram(async () => undefined, { out: () => undefined }),
    words,
  );
  const last = words.at(-1) ?? '';
  const prefix = last.startsWith('--') && last.includes('=') ? last.slice(0, last.indexOf('=') + 1) : '';
  const offer = (offered: ReadonlyArray<Candidate>): string =>
    offered
      .map(({ word, meaning }) => ({ word: prefix + word, meaning }))
      .filter(({ word }) => word.startsWith(last))
      .map(({ word, meaning }) => `${word}${meaning ? `\t${meaning}` : ''}\n`)
      .join('');
  switch (candidates.kind) {
    case 'words':
      return offer(candidates.words);
    case 'names':
    case 'namespaces':
      return offer(await names(candidates, words, krt));
    case 'contexts':
      return offer(await contexts(words, krt));
    case 'files':
      return ':files\n';
    case 'folders':
      return ':folders\n';
    case 'nothing':
      return '';
  }
};

/** Prints the completions of the words. */
export const complete = async (words: ReadonlyArray<string>, krt: Krt): Promise<number> => {
  try {
    krt.terminal.out(await completionsFor(words, krt));
  } catch {
    // No cluster, no permission: a shell has no place for the reason.
  }
  return 0;
};
