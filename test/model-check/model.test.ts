/**
 * The protocol, explored: the product's own operator, sidecar and decisions in a small world whose network, disk, clock
 * and processes are the checker's. What is claimed is at the head of `claims.ts`; longer: npm run test:model.
 */
import { expect } from 'chai';

import { describeFound, execute, exhaust, hunt, walk } from './explore.js';
import { MUTANTS } from './mutants.js';
import { LARGE, SMALL } from './stories.js';
import type { Story } from './world.js';

/** Executions per kind: a number, not a time, so that a busy machine looks at as many. */
const WALKS = 150;
const HUNTED = 1500;

const storiesNamed = (names: ReadonlyArray<string>): ReadonlyArray<Story> =>
  [...SMALL, ...LARGE].filter(({ name }) => names.includes(name));

const counted = (most: number): (() => boolean) => {
  let left = most;
  return () => {
    left -= 1;
    return left >= 0;
  };
};

describe('the protocol, in a small world', () => {
  for (const story of [...SMALL, ...LARGE])
    it(`keeps its claims without faults: ${story.name}`, () => {
      const { found } = execute(story, []);
      expect(found && describeFound(found)).to.equal(undefined);
    });

  it('keeps its claims in every execution with one fault, loss or delay: a short Run, one pod', () => {
    const [story] = storiesNamed(['short']);
    if (!story) throw new Error('no such story');
    const { found, isComplete, executions } = exhaust(story, 1, () => true);
    expect(found && describeFound(found)).to.equal(undefined);
    expect(isComplete).to.equal(true);
    expect(executions).to.be.greaterThan(200);
  });

  it('keeps its claims in seeded walks with up to six faults, losses and delays', () => {
    for (let seed = 1; seed <= WALKS; seed += 1) {
      const story = [...LARGE, ...SMALL][seed % (LARGE.length + SMALL.length)];
      const found = story && walk(story, seed).found;
      expect(found && `seed ${seed}: ${describeFound(found)}`).to.equal(undefined);
    }
  });

  it('does the same for the same seed', () => {
    const [story] = storiesNamed(['all']);
    if (!story) throw new Error('no such story');
    expect(walk(story, 7).path).to.deep.equal(walk(story, 7).path).and.not.deep.equal(walk(story, 8).path);
  });
});

describe('the checker of the protocol', () => {
  for (const mutant of MUTANTS)
    it(`finds it when ${mutant.name}`, () => {
      const found = hunt(storiesNamed(mutant.stories), 1, counted(HUNTED), mutant);
      expect(found, 'it was not found').to.not.equal(undefined);
      expect(mutant.breaks).to.include(found?.violation.claim);
    });
});
