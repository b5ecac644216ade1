/** What may come next on a command line: decided from the command tree; names of objects are asked of the cluster. */
import type { Command, Option } from 'commander';

import { PHASES } from '../../model/run.js';
import { FORMATS } from '../output/format.js';

/** What completes the word: these words, names of objects, or files (which the shell knows better). */
export type Candidates =
  | Readonly<{ kind: 'words'; words: ReadonlyArray<Candidate> }>
  | Readonly<{ kind: 'namespaces' }>
  | Readonly<{ kind: 'names'; noun: 'run' | 'runtime' | 'artifact' | 'output'; run?: string }>
  | Readonly<{ kind: 'contexts' | 'files' | 'folders' | 'nothing' }>;
/** A word, and what it means. */
export type Candidate = Readonly<{ word: string; meaning: string }>;

const NOTHING: Candidates = { kind: 'nothing' };
const bare = (words: ReadonlyArray<string>): Candidates => ({
  kind: 'words',
  words: words.map((word) => ({ word, meaning: '' })),
});

/** What the value of a flag may be. */
const flagValues = (option: Option): Candidates => {
  switch (option.attributeName()) {
    case 'runtime':
      return { kind: 'names', noun: 'runtime' };
    case 'namespace':
      return { kind: 'namespaces' };
    case 'context':
      return { kind: 'contexts' };
    case 'kubeconfig':
    case 'file':
      return { kind: 'files' };
    case 'dataDir':
    case 'directory':
      return { kind: 'folders' };
    case 'output':
      return bare(FORMATS);
    case 'phase':
      return bare(PHASES);
    case 'stream':
      return bare(['stdout', 'stderr']);
    default:
      return NOTHING;
  }
};

/** The flag that a typed word names, if any: `-n`, `--namespace`, `-Aw` (its last letter). */
const flagOf = (command: Command, word: string): Option | undefined =>
  command.options.find((option) =>
    word.startsWith('--')
      ? option.long === word
      : /^-[^-]+$/.test(word) && option.short === `-${word.at(-1)}`,
  );

/** Operands of a verb: what the one after `before` may be. */
const operandOf = (path: string, before: ReadonlyArray<string>): Candidates => {
  const [first] = before;
  switch (path) {
    case 'get':
    case 'describe':
    case 'wait':
    case 'cancel':
    case 'delete':
      return { kind: 'names', noun: 'run' };
    case 'logs':
    case 'rerun':
    case 'artifact list':
      return first === undefined ? { kind: 'names', noun: 'run' } : NOTHING;
    case 'outputs':
      return first === undefined
        ? { kind: 'names', noun: 'run' }
        : before.length === 1
          ? { kind: 'names', noun: 'output', run: first }
          : NOTHING;
    case 'artifact download':
      return first === undefined
        ? { kind: 'names', noun: 'run' }
        : { kind: 'names', noun: 'artifact', run: first };
    case 'runtime get':
    case 'runtime describe':
      return { kind: 'names', noun: 'runtime' };
    case 'completion':
      return first === undefined ? bare(['bash', 'zsh', 'fish']) : NOTHING;
    default:
      return NOTHING;
  }
};

/** A command line without its last, unfinished word, taken apart. */
type Typed = Readonly<{
  command: Command;
  /** `artifact list`; '' at the program itself. */
  path: string;
  operands: ReadonlyArray<string>;
  /** A flag that waits for its value. */
  open: Option | undefined;
  afterDashes: boolean;
}>;

const take = (program: Command, words: ReadonlyArray<string>): Typed => {
  let command = program;
  const path: string[] = [];
  const operands: string[] = [];
  let open: Option | undefined;
  for (const word of words) {
    if (open) {
      open = undefined;
      continue;
    }
    if (word === '--') return { command, path: path.join(' '), operands, open: undefined, afterDashes: true };
    if (word.startsWith('-') && word !== '-') {
      const flag = flagOf(command, word);
      open = flag?.required ? flag : undefined;
      continue;
    }
    const child = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
    if (child && operands.length === 0) {
      command = child;
      path.push(child.name());
    } else operands.push(word);
  }
  return { command, path: path.join(' '), operands, open, afterDashes: false };
};

/** Candidates for the last of `words`; the caller filters by what is typed of it. */
export const candidatesFor = (program: Command, words: ReadonlyArray<string>): Candidates => {
  const last = words.at(-1) ?? '';
  const typed = take(program, words.slice(0, -1));
  // What follows -- is the script's own business; files are the best guess.
  if (typed.afterDashes)
    return typed.path === 'run' ? { kind: 'files' } : operandOf(typed.path, typed.operands);
  if (typed.open) return flagValues(typed.open);
  const equals = last.startsWith('--') ? last.indexOf('=') : -1;
  if (equals > 0) {
    const flag = flagOf(typed.command, last.slice(0, equals));
    return flag ? flagValues(flag) : NOTHING;
  }
  if (last.startsWith('-'))
    return {
      kind: 'words',
      words: typed.command.options
        .filter((option) => !option.hidden)
        .map((option) => ({ word: option.long ?? option.short ?? '', meaning: option.description })),
    };
  if (typed.command.commands.length > 0 && typed.operands.length === 0)
    return {
      kind: 'words',
      words: typed.command.commands.map((each) => ({ word: each.name(), meaning: each.description() })),
    };
  return operandOf(typed.path, typed.operands);
};
