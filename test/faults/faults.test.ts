/**
 * A few cells of the fault matrix on a control plane of real processes; all of them: npm run test:faults. Which ones
 * is drawn by a seed that changes with the day, and is in the test's name: npm run test:faults -- --seed S.
 */
import { expect } from 'chai';

import { seeded } from '../model-check/explore.js';
import { playCell, SITUATIONS } from './cell.js';
import { EDIT_FAULTS } from './edit-faults.js';
import { FAULTS } from './faults.js';
import { MACHINE_FAULTS } from './machine-faults.js';
import { MESSAGE_FAULTS } from './message-faults.js';
import { CAPACITY, type FaultyPlane, REPLICAS, startFaultyPlane } from './plane.js';
import { STORE_FAULTS } from './store-faults.js';

/** Drawn besides those that are always played. */
const DRAWN = 3;
const ALWAYS = ['runtimed killed', 'pod deleted by force', 'API: answers lost'];

/** All that a plane without disks, clocks and a standby can play. */
const ALL = [...FAULTS, ...MESSAGE_FAULTS, ...EDIT_FAULTS, ...STORE_FAULTS, ...MACHINE_FAULTS];

const seed = Number(process.env.FAULTS_SEED ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''));
const random = seeded(seed);
const draw = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)] as A;

describe(`faults on a whole control plane, FAULTS_SEED=${seed}`, () => {
  let plane: FaultyPlane;
  before(async () => {
    plane = await startFaultyPlane(REPLICAS, CAPACITY);
  });
  after(async () => {
    await plane?.stop();
  });

  const fixed = FAULTS.filter(({ name }) => ALWAYS.includes(name));
  const drawn = Array.from({ length: DRAWN }, () => draw(ALL));
  for (const fault of [...fixed, ...drawn]) {
    const situation = draw(SITUATIONS);
    it(`break no promise and leave nothing stuck: ${fault.name}, ${situation}`, async function () {
      if (fault.lacks?.(plane) !== undefined) this.skip();
      const { broken } = await playCell(plane, fault, situation, random);
      expect(broken).to.deep.equal([]);
    });
  }
});
