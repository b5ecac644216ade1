/** What became of a command, as data: fed back to the pipelines that need it and logged. */
import type { Command } from './command.js';
import type { EffectError } from './effect-error.js';

/** How one command ended. */
export type Outcome =
  | Readonly<{
      kind: 'Done';
      command: Command;
      /** The object as the API answered it, to be taken into the cache before the watch brings it. */
      object?: unknown;
    }>
  /** Nothing was to be done any more: the lifecycle refused the step, or the object is gone. */
  | Readonly<{ kind: 'Dropped'; command: Command; why: string }>
  | Readonly<{ kind: 'Failed'; command: Command; error: EffectError }>;
