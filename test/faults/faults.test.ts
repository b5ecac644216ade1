/**
 * A few cells of the fault matrix on a control plane of real processes; all of them: npm run test:faults. Which ones
 * is drawn by a seed that changes with the day, and is in the test's name: npm run test:faults -- --seed S.
 */
import { expect } from 'chai';

import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { seeded } from '../model-check/explore.js';
import { CAPACITY, playCell, REPLICAS, SITUATIONS } from './cell.js';
import { FAULTS } from './faults.js';
import { type FaultyPlane, startFaultyPlane } from './plane.js';

/** Drawn besides those that are always played. */
const DRAWN = 3;
const ALWAYS = ['runtimed killed', 'pod deleted by force', 'API: answers lost'];

const seed = Number(process.env.FAULTS_SEED ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const random = seeded(seed);
const draw = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)] as A;

describe(`faults on a whole control plane, FAULTS_SEED=${seed}`, function () {
  this.timeout(120_000);
  let plane: FaultyPlane;
  before(async function () {
    this.timeout(START_LIMIT_MS);
    plane = await startFaultyPlane(REPLICAS, CAPACITY);
  });
  after(async function () {
    this.timeout(30_000);
    await plane?.stop();
  });

  const fixed = FAULTS.filter(({ name }) => ALWAYS.includes(name));
  const drawn = Array.from({ length: DRAWN }, () => draw(FAULTS));
  for (const fault of [...fixed, ...drawn]) {
    const situation = draw(SITUATIONS);
    it(`break no promise and leave nothing stuck: ${fault.name}, ${situation}`, async () => {
      const { broken } = await playCell(plane, fault, situation, random);
      expect(broken).to.deep.equal([]);
    });
  }
});
