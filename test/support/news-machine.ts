/** A decision that looks at news, in a world of its own: what each piece of news, and each waking, makes it ask for. */
import type { TimedMachine } from '../../src/decide/timed-machine.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { type AWorld, aWorld } from './a-world.js';
import { allTold } from './told.js';

export type NewsMachine = Readonly<{
  w: AWorld;
  commands: (news: News, nowMs?: number) => ReadonlyArray<Command>;
  /** The same in words. */
  apply: (news: News, nowMs?: number) => ReadonlyArray<string>;
  wakeCommands: (nowMs: number) => ReadonlyArray<Command>;
  wake: (nowMs: number) => ReadonlyArray<string>;
  due: () => number | undefined;
}>;

/** Makes one over an empty world. */
export const newsMachine = (make: (world: World) => TimedMachine<News, Command>): NewsMachine => {
  const w = aWorld();
  const machine = make(w.world);
  const commands = (news: News, nowMs = 0): ReadonlyArray<Command> => [...machine.apply(news, nowMs)];
  const wakeCommands = (nowMs: number): ReadonlyArray<Command> => [...(machine.wake?.(nowMs) ?? [])];
  return {
    w,
    commands,
    apply: (news, nowMs) => allTold(commands(news, nowMs)),
    wakeCommands,
    wake: (nowMs) => allTold(wakeCommands(nowMs)),
    due: () => machine.dueMs?.(),
  };
};
