/**
 * Which executions are looked at: all that differ from the default one in at most so many choices, and seeded walks
 * with more. One that breaks a claim is shrunk to the fewest choices that still break it.
 */
import { Violation } from './claims.js';
import type { Mutant } from './mutants.js';
import { ModelWorld, type Story } from './world.js';

/** At step `step` of an execution, not the default but this. */
export type Deviation = Readonly<{ step: number; choice: string }>;
export type Path = ReadonlyArray<Deviation>;

/** An execution that breaks a claim. */
export type Found = Readonly<{
  story: string;
  path: Path;
  violation: Violation;
  /** What happened, step by step. */
  told: ReadonlyArray<string>;
}>;

/** How an execution went. */
type Execution = Readonly<{ found: Found | undefined; steps: number; repeated: number }>;

/** Longest execution before the deviations are over, steps. */
const LONGEST = 2000;

const asViolation = (cause: unknown): Violation =>
  cause instanceof Violation
    ? cause
    : new Violation('nothing throws', String((cause as Error).stack ?? cause));

type Visit = (step: number, world: ModelWorld) => 'go on' | 'leave';

/** One execution: the deviations at their steps (those that are not possible there are left out), then to its end. */
export const execute = (story: Story, path: Path, mutant?: Mutant, visit?: Visit): Execution => {
  let world: ModelWorld | undefined;
  let step = 0;
  const left = [...path];
  try {
    world = new ModelWorld(story, mutant);
    for (; step < LONGEST && (left.length > 0 || visit !== undefined) && !world.isDone(); step += 1) {
      while (left[0]?.step === step) {
        const wanted = left.shift()?.choice;
        world
          .choices()
          .find(({ name }) => name === wanted)
          ?.apply();
      }
      if (left.length === 0 && visit?.(step, world) === 'leave')
        return { found: undefined, steps: step, repeated: 0 };
      world.go();
    }
    world.finish();
    world.probe();
    return { found: undefined, steps: step, repeated: world.claims.repeated };
  } catch (cause) {
    const found = { story: story.name, path, violation: asViolation(cause), told: world?.told ?? [] };
    return { found, steps: step, repeated: 0 };
  } finally {
    world?.close();
  }
};

/** Fewest deviations that still break the same claim. */
export const shrink = (story: Story, found: Found, mutant?: Mutant): Found => {
  let best = found;
  for (let i = best.path.length - 1; i >= 0; i -= 1) {
    const path = best.path.filter((_, at) => at !== i);
    const again = execute(story, path, mutant).found;
    if (again?.violation.claim === found.violation.claim) best = again;
  }
  return best;
};

/** What was looked at. */
export type Explored = Readonly<{
  found: Found | undefined;
  executions: number;
  /** Executions that were cut short because their state had been met before. */
  pruned: number;
  isComplete: boolean;
  /** Executions in which an attempt number was executed twice, its first pod being lost. */
  repeated: number;
}>;

/** Until when to look. */
export type Budget = () => boolean;

/** All executions with at most `deviations` deviations, those with fewer first. */
export const exhaust = (story: Story, deviations: number, hasTime: Budget, mutant?: Mutant): Explored => {
  const seen = new Map<string, number>();
  let [executions, pruned, repeated] = [0, 0, 0];
  let level: Path[] = [[]];
  for (let used = 0; used <= deviations; used += 1) {
    const nextLevel: Path[] = [];
    for (const path of level) {
      if (!hasTime()) return { found: undefined, executions, pruned, isComplete: false, repeated };
      const remaining = deviations - used;
      const from = path.at(-1)?.step ?? 0;
      let isFirst = true;
      const visit: Visit = (step, world) => {
        const digest = world.digest();
        const best = seen.get(digest);
        const isKnown = best !== undefined && best >= remaining;
        if (isFirst && isKnown && path.length > 0) {
          pruned += 1;
          return 'leave';
        }
        isFirst = false;
        if (isKnown) return 'go on';
        seen.set(digest, remaining);
        if (remaining > 0 && step >= from)
          for (const { name } of world.choices()) nextLevel.push([...path, { step, choice: name }]);
        return 'go on';
      };
      const execution = execute(story, path, mutant, visit);
      executions += 1;
      repeated += Number(execution.repeated > 0);
      if (execution.found) return { found: execution.found, executions, pruned, isComplete: false, repeated };
    }
    level = nextLevel;
  }
  return { found: undefined, executions, pruned, isComplete: true, repeated };
};

/** Numbers in [0, 1) from a seed (mulberry32). */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
};

/** One walk: at most so many deviations, where and which by chance. */
export const walk = (story: Story, seed: number, mutant?: Mutant): Execution & Readonly<{ path: Path }> => {
  const random = seeded(seed);
  const most = 1 + Math.floor(random() * 6);
  const likely = 0.01 + random() * 0.1;
  const path: Deviation[] = [];
  const execution = execute(story, [], mutant, (step, world) => {
    while (path.length < most && random() < likely) {
      const choices = world.choices();
      const choice = choices[Math.floor(random() * choices.length)];
      if (choice === undefined) break;
      path.push({ step, choice: choice.name });
      choice.apply();
    }
    return 'go on';
  });
  const { found } = execution;
  return { ...execution, path, found: found && { ...found, path } };
};

/** A finding as text: how to see it again, and what happened. */
export const describeFound = ({ story, path, violation, told }: Found): string =>
  [
    `${violation.message}`,
    `in story ${story}, ${path.length} deviations: ${JSON.stringify(path)}`,
    ...told.slice(told.findIndex((line) => line.includes('user creates'))).map((line) => `  ${line}`),
  ].join('\n');

/** The mutant's own path, then executions with one deviation, then walks from `seed` on; shrunk. */
export const hunt = (
  stories: ReadonlyArray<Story>,
  seed: number,
  hasTime: Budget,
  mutant?: Mutant,
): Found | undefined => {
  const [first] = stories;
  const shown = first && mutant?.path && execute(first, mutant.path, mutant).found;
  if (shown) return shown;
  for (const story of stories) {
    const { found } = exhaust(story, 1, hasTime, mutant);
    if (found) return shrink(story, found, mutant);
  }
  for (let at = seed; hasTime(); at += 1)
    for (const story of stories) {
      const { found } = walk(story, at, mutant);
      if (found) return shrink(story, found, mutant);
    }
  return undefined;
};
