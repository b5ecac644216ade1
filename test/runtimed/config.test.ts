import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { readConfig } from '../../src/runtimed/config.js';

const good = {
  KRUNTIME_WORK_DIR: '/workspace',
  KRUNTIME_STATE_DIR: '/state',
  KRUNTIME_SERVER_ADDRESS: '127.0.0.1:19091',
  KRUNTIME_LOGS_ADDRESS: 'unix:/run/9093.sock',
  KRUNTIME_PROBES_ADDRESS: '0.0.0.0:9094',
  KRUNTIME_METRICS_ADDRESS: '0.0.0.0:9090',
  KRUNTIME_OPERATOR_URL: 'https://kruntimes-sessions.kruntimes.svc:9443',
  KRUNTIME_OPERATOR_CA: 'PEM',
  KRUNTIME_SESSION_TOKEN_FILE: '/token',
  KRUNTIME_SERVICE_ACCOUNT_DIR: '/account',
  KRUNTIME_POD_NAME: 'bash-0',
  KRUNTIME_POD_NAMESPACE: 'default',
  KRUNTIME_POD_UID: 'uid',
  KRUNTIME_RUNTIME: 'bash',
  KRUNTIME_CAPACITY: '{"runs":4}',
  KUBERNETES_SERVICE_HOST: '10.0.0.1',
  KUBERNETES_SERVICE_PORT: '443',
};

const problems = (env: Readonly<Record<string, string | undefined>>): ReadonlyArray<string> => {
  const config = readConfig(env);
  return E.isLeft(config) ? config.left : [];
};

describe('readConfig', () => {
  it('reads the environment that the operator writes', () => {
    const config = readConfig(good);
    expect(E.isRight(config) && config.right).to.deep.include({
      folders: { work: '/workspace', state: '/state' },
      capacity: { runs: 4 },
      serverAddress: { kind: 'Tcp', host: '127.0.0.1', port: 19091 },
      logsAddress: { kind: 'Unix', path: '/run/9093.sock' },
      logBounds: { headBytes: 1048576, tailBytes: 9437184 },
    });
    const bounded = readConfig({ ...good, KRUNTIME_LOG_BOUNDS: '{"tailBytes":65536}' });
    expect(E.isRight(bounded) && bounded.right.logBounds).to.deep.equal({
      headBytes: 1048576,
      tailBytes: 65536,
    });
  });

  it('says all that is wrong, one line per variable, and repeats no value', () => {
    const found = problems({
      ...good,
      KRUNTIME_CAPACITY: 'secret',
      KRUNTIME_WORK_DIR: 'relative',
      KRUNTIME_LOGS_ADDRESS: 'nowhere',
      KRUNTIME_OPERATOR_URL: 'ftp://x',
      KRUNTIME_POD_UID: undefined,
    });
    expect(found.map((line) => line.split(' ')[0]).sort()).to.deep.equal([
      'KRUNTIME_CAPACITY',
      'KRUNTIME_LOGS_ADDRESS',
      'KRUNTIME_OPERATOR_URL',
      'KRUNTIME_POD_UID',
      'KRUNTIME_WORK_DIR',
    ]);
    expect(found.join()).to.not.contain('secret');
  });

  for (const capacity of ['{"runs":-1}', '{"runs":1.5}', '[4]', '4', ''])
    it(`refuses the capacity ${capacity || 'that is empty'}`, () => {
      expect(problems({ ...good, KRUNTIME_CAPACITY: capacity })).to.have.length(1);
    });
});
