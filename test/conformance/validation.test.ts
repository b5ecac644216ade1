/** What the CRDs refuse, prune and fill in, and with which words. */
import { expect } from 'chai';

import type { Body, Target } from './target.js';
import { aRun, newNamespace, openTarget } from './target.js';

const merge = { type: 'application/merge-patch+json' };
const unchecked =
  '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

describe('validation', () => {
  let target: Target;
  let runs = '';
  let runtimes = '';
  before(async () => {
    target = await openTarget();
    const namespace = await newNamespace(target);
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    runtimes = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runtimes`;
  });
  after(() => target.close());

  const aRuntime = (
    name: string,
    spec: object = {},
    container: object = { name: 'runtime', image: 'x' },
  ): Body => ({
    apiVersion: 'kruntimes.io/v1alpha1',
    kind: 'Runtime',
    metadata: { name },
    spec: { template: { spec: { containers: [container] } }, ...spec },
  });

  for (const [claim, spec, message] of [
    [
      'an absolute entrypoint',
      { entrypoint: '/bin/sh' },
      'spec.entrypoint: Invalid value: "string": must be a relative path',
    ],
    [
      'an entrypoint that climbs',
      { entrypoint: 'a/../../b' },
      'spec.entrypoint: Invalid value: "string": must not contain a \'..\' segment',
    ],
    [
      'both sources',
      { source: { inline: 'x', repoURL: 'https://a/b', commitSHA: 'a'.repeat(40) }, entrypoint: 'x' },
      'spec.source: Invalid value: "object": inline and repoURL exclude each other',
    ],
    [
      'a repository without a commit',
      { source: { repoURL: 'https://a/b' }, entrypoint: 'x' },
      'spec.source: Invalid value: "object": repoURL needs one of commitSHA and ref',
    ],
    [
      'an empty source',
      { source: {} },
      'spec.source: Invalid value: "object": one of inline and repoURL is required',
    ],
    [
      'a repository without an entrypoint',
      { source: { repoURL: 'https://a/b', commitSHA: 'a'.repeat(40) } },
      'spec.source: Invalid value: "object": entrypoint is required with source.repoURL',
    ],
    [
      'nothing to run',
      { args: [] },
      'spec: Invalid value: "object": there is nothing to run: set source, entrypoint or args',
    ],
    [
      'an env name of a bad form',
      { env: { '1A': 'x' } },
      'spec.env: Invalid value: "object": names of environment variables must match [A-Za-z_][A-Za-z0-9_]*',
    ],
    [
      'a reserved env name',
      { env: { KRUNTIME_X: 'x' } },
      'spec.env: Invalid value: "object": names of environment variables must not start with KRUNTIME_, which is reserved',
    ],
    [
      'a timeout of nothing',
      { timeout: '0s' },
      'spec.timeout: Invalid value: "string": must be more than 0s and at most 8760h',
    ],
    [
      'a timeout without unit',
      { timeout: '30' },
      'spec.timeout: Invalid value: "30": spec.timeout in body should match ',
    ],
    [
      'no attempts',
      { retryPolicy: { maxAttempts: 0 } },
      'spec.retryPolicy.maxAttempts: Invalid value: 0: spec.retryPolicy.maxAttempts in body should be greater than or equal to 1',
    ],
    [
      'a hundred and one attempts',
      { retryPolicy: { maxAttempts: 101 } },
      'spec.retryPolicy.maxAttempts: Invalid value: 101: spec.retryPolicy.maxAttempts in body should be less than or equal to 100',
    ],
    [
      'an unknown reason',
      { retryPolicy: { retryableReasons: ['Mood'] } },
      'spec.retryPolicy.retryableReasons[0]: Unsupported value: "Mood": supported values: "Timeout", "PrepareSource"',
    ],
    [
      'a reason twice',
      { retryPolicy: { retryableReasons: ['Timeout', 'Timeout'] } },
      'spec.retryPolicy.retryableReasons[1]: Duplicate value: "Timeout"',
    ],
    [
      'a runtime name that is none',
      { runtime: 'No' },
      'spec.runtime: Invalid value: "No": spec.runtime in body should match ',
    ],
    [
      'a long runtime name',
      { runtime: 'a'.repeat(64) },
      'spec.runtime: Too long: may not be more than 63 bytes',
    ],
    [
      'a wrong type',
      { args: 'x' },
      'spec.args: Invalid value: "string": spec.args in body must be of type array: "string"',
    ],
    [
      '257 arguments',
      { args: Array.from({ length: 257 }, () => 'x') },
      'spec.args: Too many: 257: must have at most 256 items',
    ],
    [
      'a negative request',
      { resources: { requests: { runs: -1 } } },
      'spec.resources.requests.runs: Invalid value: -1: spec.resources.requests.runs in body should be greater than or equal to 0',
    ],
    [
      'a script of more than 262144 characters',
      { source: { inline: 'x'.repeat(262_145) } },
      'spec.source.inline: Too long: may not be more than 262144 bytes',
    ],
    [
      'a negative ttl',
      { ttlSecondsAfterFinished: -1 },
      'spec.ttlSecondsAfterFinished: Invalid value: -1: spec.ttlSecondsAfterFinished in body should be greater than or equal to 0',
    ],
  ] as const) {
    it(`refuses ${claim}, naming the field`, async () => {
      const { code, body } = await target.call('POST', runs, aRun('refused', spec));
      expect(code).to.equal(422);
      expect(body.reason).to.equal('Invalid');
      expect(body.message).to.contain(message);
      expect(body.message).to.match(/^Run\.kruntimes\.io "refused" is invalid: /);
    });
  }

  it('a missing field is Required, with the cause', async () => {
    const { code, body } = await target.call('POST', runs, { ...aRun('required'), spec: {} });
    expect(code).to.equal(422);
    expect(body.message).to.equal(
      `Run.kruntimes.io "required" is invalid: [spec.runtime: Required value, ${unchecked}]`,
    );
    expect(body.details).to.deep.include({ name: 'required', group: 'kruntimes.io', kind: 'Run' });
    expect(body.details.causes[0]).to.deep.equal({
      reason: 'FieldValueRequired',
      message: 'Required value',
      field: 'spec.runtime',
    });
  });

  it('fills in defaults, also inside objects that are given', async () => {
    const { body } = await target.call('POST', runs, aRun('defaulted', { retryPolicy: { maxAttempts: 3 } }));
    expect(body.spec.retryPolicy).to.deep.equal({ maxAttempts: 3, backoff: '1s' });
    const { body: runtime } = await target.call('POST', runtimes, aRuntime('defaulted'));
    expect(runtime.spec).to.deep.include({ replicas: 1, capacity: { resources: { runs: 2 } } });
  });

  it('prunes unknown fields with a warning, refuses them when strict, is silent when told', async () => {
    const run = {
      ...aRun('unknown'),
      spec: { runtime: 'bash', args: ['x'], nope: 1, source: { inline: 'x', zip: 2 } },
    };
    const strict = await target.call('POST', `${runs}?fieldValidation=Strict`, run);
    expect(strict.code).to.equal(400);
    expect(strict.body.message).to.equal(
      'Run in version "v1alpha1" cannot be handled as a Run: strict decoding error: unknown field "spec.nope", unknown field "spec.source.zip"',
    );
    const warned = await target.call('POST', `${runs}?dryRun=All&fieldValidation=Warn`, run);
    expect(warned.code).to.equal(201);
    expect(warned.headers.warning).to.contain('299 - "unknown field \\"spec.nope\\""');
    expect(warned.body.spec).to.deep.equal({ runtime: 'bash', args: ['x'], source: { inline: 'x' } });
    const ignored = await target.call('POST', `${runs}?dryRun=All&fieldValidation=Ignore`, run);
    expect(ignored.headers.warning).to.equal(undefined);
  });

  it('sees fields that are written twice', async () => {
    const text = JSON.stringify(aRun('duplicate')).replace(
      '"runtime":"bash"',
      '"runtime":"bash","runtime":"bash"',
    );
    const { code, body } = await target.call('POST', `${runs}?fieldValidation=Strict`, text);
    expect(code).to.equal(400);
    expect(body.message).to.contain('duplicate field "spec.runtime"');
  });

  it('keeps what a Pod template may hold', async () => {
    const template = {
      spec: {
        containers: [{ name: 'runtime', image: 'x', ports: [{ containerPort: 1 }] }],
        tolerations: [{ key: 'a' }],
      },
    };
    const { body } = await target.call(
      'POST',
      `${runtimes}?fieldValidation=Strict`,
      aRuntime('kept', { template }),
    );
    expect(body.spec.template).to.deep.equal(template);
  });

  for (const [field, changed] of [
    ['runtime', { runtime: 'other' }],
    ['args', { args: ['other'] }],
    ['env', { env: { A: '2' } }],
    ['timeout', { timeout: '2s' }],
    ['timeout', { timeout: null }],
    ['entrypoint', { entrypoint: 'new' }],
    ['retryPolicy', { retryPolicy: { maxAttempts: 5 } }],
    ['resources', { resources: { requests: { runs: 2 } } }],
    ['source', { source: { inline: 'other' } }],
  ] as const) {
    it(`spec.${field} is immutable: ${JSON.stringify(changed)}`, async () => {
      await target.call('POST', runs, aRun('immutable', { env: { A: '1' }, timeout: '1s' }));
      const { code, body } = await target.call('PATCH', `${runs}/immutable`, { spec: changed }, merge);
      expect(code).to.equal(422);
      expect(body.message).to.equal(
        `Run.kruntimes.io "immutable" is invalid: spec.${field}: Invalid value: "object": is immutable`,
      );
    });
  }

  it('cancelRequested goes from false to true and not back; the ttl can be changed', async () => {
    await target.call('POST', runs, aRun('cancelled'));
    const cancel = (value: boolean | null): ReturnType<Target['call']> =>
      target.call('PATCH', `${runs}/cancelled`, { spec: { cancelRequested: value } }, merge);
    expect((await cancel(false)).code).to.equal(200);
    expect((await cancel(true)).code).to.equal(200);
    for (const back of [false, null]) {
      const { code, body } = await cancel(back);
      expect(code).to.equal(422);
      expect(body.message).to.contain(
        'spec.cancelRequested: Invalid value: "object": a request to cancel cannot be withdrawn',
      );
    }
    expect(
      (await target.call('PATCH', `${runs}/cancelled`, { spec: { ttlSecondsAfterFinished: 5 } }, merge)).code,
    ).to.equal(200);
  });

  it('a terminal phase is for ever and the attempt never decreases', async () => {
    await target.call('POST', runs, aRun('terminal'));
    const status = (change: object | null): ReturnType<Target['call']> =>
      target.call('PATCH', `${runs}/terminal/status`, { status: change }, merge);
    expect((await status({ phase: 'Running', attempt: 2 })).code).to.equal(200);
    const lower = await status({ attempt: 1 });
    expect(lower.code).to.equal(422);
    expect(lower.body.message).to.equal(
      'Run.kruntimes.io "terminal" is invalid: status.attempt: Invalid value: "object": the attempt number never decreases',
    );
    expect((await status({ phase: 'Succeeded' })).code).to.equal(200);
    for (const change of [{ phase: 'Running' }, { phase: null }, { phase: 'Failed' }, null]) {
      const { code, body } = await status(change);
      expect(code).to.equal(422);
      expect(body.message).to.contain(
        'status.phase: Invalid value: "object": a terminal phase never changes',
      );
    }
    expect((await status({ message: 'still writable' })).code).to.equal(200);
  });

  it('times have microseconds and must be times', async () => {
    await target.call('POST', runs, aRun('timed'));
    const status = (startTime: string): ReturnType<Target['call']> =>
      target.call('PATCH', `${runs}/timed/status`, { status: { startTime } }, merge);
    expect((await status('2026-01-02T03:04:05.123456Z')).body.status.startTime).to.equal(
      '2026-01-02T03:04:05.123456Z',
    );
    const { code, body } = await status('yesterday');
    expect(code).to.equal(422);
    expect(body.message).to.contain(
      'status.startTime: Invalid value: "yesterday": startTime in body must be of type date-time: "yesterday"',
    );
  });

  for (const [claim, runtime, message] of [
    [
      'a first container of another name',
      aRuntime('r', {}, { name: 'main', image: 'x' }),
      'spec.template.spec.containers: Invalid value: "array": the first container must be named runtime',
    ],
    [
      'a runtime container without an image',
      aRuntime('r', {}, { name: 'runtime' }),
      'spec.template.spec.containers: Invalid value: "array": the container named runtime must have an image',
    ],
    [
      'processes that all containers see',
      aRuntime('r', {
        template: { spec: { shareProcessNamespace: true, containers: [{ name: 'runtime', image: 'x' }] } },
      }),
      'spec.template.spec.shareProcessNamespace: Invalid value: "boolean": with it every Run could read the tokens of runtimed in /proc',
    ],
    [
      'no containers',
      aRuntime('r', { template: { spec: { containers: [] } } }),
      'spec.template.spec.containers: Invalid value: 0: spec.template.spec.containers in body should have at least 1 items',
    ],
    [
      'a store without its settings',
      aRuntime('r', { artifactStore: { driver: 'gcs' } }),
      'spec.artifactStore: Invalid value: "object": gcs must be set when driver is gcs, and only then',
    ],
    [
      'settings of another store',
      aRuntime('r', { artifactStore: { driver: 'gcs', gcs: { bucket: 'abc' }, s3: { bucket: 'abc' } } }),
      's3 must be set when driver is s3, and only then',
    ],
    [
      'two workspace sources',
      aRuntime('r', { workspace: { emptyDir: {}, hostPath: { path: '/' } } }),
      'spec.workspace: Too many: 2: must have at most 1 item',
    ],
    [
      'negative replicas',
      aRuntime('r', { replicas: -1 }),
      'spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0',
    ],
    [
      'a name too long for a label',
      aRuntime('a'.repeat(64)),
      "a Runtime's name must have at most 63 characters",
    ],
    [
      'a boolean capacity',
      aRuntime('r', { capacity: { resources: { runs: true } } }),
      'spec.capacity.resources.runs: Invalid value: "boolean": spec.capacity.resources.runs in body must be of type integer,string: "boolean"',
    ],
  ] as const) {
    it(`a Runtime is refused with ${claim}`, async () => {
      const { code, body } = await target.call('POST', runtimes, runtime);
      expect(code).to.equal(422);
      expect(body.message).to.contain(message);
    });
  }
});
