import bunyan from 'bunyan';
import { expect } from 'chai';

import { componentLog, keyForLog, openLog } from '../../src/io/log.js';

type LogRecord = Readonly<Record<string, unknown>>;

const capture = (level?: string) => {
  const ring = new bunyan.RingBuffer({ limit: 10 });
  const log = openLog({ name: 'operator', level, streams: [{ type: 'raw', stream: ring, level: 'trace' }] });
  return {
    log,
    records: (): ReadonlyArray<LogRecord> => ring.records as unknown as ReadonlyArray<LogRecord>,
  };
};

describe('openLog', () => {
  it('writes objects as keys, never as manifests', () => {
    const { log, records } = capture();
    const pod = { metadata: { namespace: 'n', name: 'p' }, spec: { secret: 'x' } };
    componentLog(log, 'watch.runs').info({ run: 'n/r', pod, runtime: { key: 'n/bash', more: 1 } }, 'seen');
    expect(records()[0]).to.include({
      name: 'operator',
      component: 'watch.runs',
      run: 'n/r',
      pod: 'n/p',
      runtime: 'n/bash',
      msg: 'seen',
    });
  });

  it('writes errors and EffectErrors by their facts', () => {
    const { log, records } = capture();
    log.warn(
      { err: { kind: 'Conflict', message: 'stale', status: 409, reason: 'Conflict', body: 'secret' } },
      'x',
    );
    log.warn({ err: new TypeError('odd') }, 'y');
    log.warn({ err: 'text' }, 'z');
    const errors = records().map(({ err }) => err as LogRecord);
    expect(errors[0]).to.deep.equal({
      name: 'Conflict',
      message: 'stale',
      reason: 'Conflict',
      status: 409,
      retryAfterMs: undefined,
    });
    expect(errors[1]).to.include({ name: 'TypeError', message: 'odd' });
    expect(errors[1]).to.have.property('stack');
    expect(errors[2]).to.deep.equal({ message: 'text' });
  });

  it('warns about a level that does not exist, and uses info', () => {
    const { log, records } = capture('loud');
    expect(records()[0]).to.include({ msg: 'log level does not exist', wanted: 'loud' });
    expect(log.level()).to.be.at.most(bunyan.INFO);
  });

  it('takes its level from the environment where none is given', () => {
    const before = process.env.KRUNTIME_LOG_LEVEL;
    process.env.KRUNTIME_LOG_LEVEL = 'error';
    try {
      expect(openLog({ name: 'x', to: 'stderr' }).level()).to.equal(bunyan.ERROR);
      expect(openLog({ name: 'x', to: 'stderr', level: 'debug' }).level()).to.equal(bunyan.DEBUG);
    } finally {
      if (before === undefined) delete process.env.KRUNTIME_LOG_LEVEL;
      else process.env.KRUNTIME_LOG_LEVEL = before;
    }
  });
});

describe('keyForLog', () => {
  it('knows cluster-scoped objects, and says ? to what is none', () => {
    expect(keyForLog({ metadata: { name: 'node' } })).to.equal('node');
    expect(keyForLog({ spec: 1 })).to.equal('?');
  });
});
