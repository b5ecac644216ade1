import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const program = fileURLToPath(new URL('allocations-program.ts', import.meta.url));

describe('allocations', () => {
  it('of a decision are few, and no more when many wait', async () => {
    const { NODE_V8_COVERAGE: _none, ...env } = process.env;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--min-semi-space-size=512', '--max-semi-space-size=512', '--import', 'tsx/esm', program],
      { env },
    );
    const [few = 0, many = 0] = JSON.parse(stdout) as ReadonlyArray<number>;
    expect(few, 'a collection in between').to.be.above(1_000);
    expect(few).to.be.below(25_000);
    expect(many, `${few} bytes among 1,000`).to.be.below(few * 1.3);
  });
});
