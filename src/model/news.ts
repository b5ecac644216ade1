/** What decisions with a memory look at: a change of the world, or what became of a command. */
import type { Outcome } from './outcome.js';
import type { WorldChange } from './world.js';

/** One piece of news. */
export type News =
  | Readonly<{ kind: 'Change'; change: WorldChange }>
  | Readonly<{ kind: 'Outcome'; outcome: Outcome }>;
