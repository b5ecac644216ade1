/** A few cells of the fault matrix (test/faults) on kube-apiserver; more: npm run test:faults -- --api real. */
import { expect } from 'chai';

import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { playCell } from '../faults/cell.js';
import { FAULTS, ON_CLUSTERS } from '../faults/faults.js';
import { CAPACITY, type FaultyPlane, REPLICAS, startFaultyClusterPlane } from '../faults/plane.js';
import { seeded } from '../model-check/explore.js';

describe('faults on a control plane with kube-apiserver', function () {
  this.timeout(120_000);
  const programs = process.env.CLUSTER_BINARIES;
  let plane: FaultyPlane;
  before(async function () {
    if (programs === undefined) return this.skip();
    this.timeout(START_LIMIT_MS);
    plane = await startFaultyClusterPlane(programs, REPLICAS, CAPACITY);
  });
  after(async function () {
    this.timeout(30_000);
    await plane?.stop();
  });

  const random = seeded(1);
  for (const fault of FAULTS.filter(({ name }) => ON_CLUSTERS.includes(name)))
    it(`break no promise and leave nothing stuck: ${fault.name}`, async () => {
      const { broken, slowest } = await playCell(plane, fault, 'Running', random);
      expect(broken, slowest.join('\n')).to.deep.equal([]);
    });
});
