import { expect } from 'chai';

import { type Alarms, alarms } from '../../../src/embedded/kubelet/alarms.js';

const HOUR_MS = 3_600_000;

describe('alarms', () => {
  let clock: Alarms;
  afterEach(() => clock.stop());

  it('rings by the wall clock, too, when that was set back and forward again and ours stood ahead of it', async () => {
    // The clock that is not set back stays an hour ahead: that the wall's goes forward by an hour it does not see.
    let wallMs = 0;
    clock = alarms(
      () => HOUR_MS,
      () => wallMs,
    );
    const rung: string[] = [];
    clock.set('token', HOUR_MS + 2_880_000, () => rung.push('token'), wallMs + 2_880_000);
    clock.set('later', HOUR_MS + 2_880_000, () => rung.push('later'));
    const next = (): Promise<void> => new Promise((resolve) => clock.set('next', HOUR_MS, resolve));
    await next();
    expect(rung).to.deep.equal([]);
    wallMs = HOUR_MS;
    await next();
    expect(rung).to.deep.equal(['token']);
  });
});
