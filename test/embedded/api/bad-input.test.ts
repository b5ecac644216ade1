/**
 * Properties of the API server over any request, well-formed or not:
 *
 * - it answers, and never with 500: what is wrong is the caller's, and the answer says so in Kubernetes' form;
 * - a refused object is refused with the path of a field, or with what is wrong with the request;
 * - what it stores has the form of its schema: no unknown field, no type that is not declared;
 * - it serves the next request as if nothing had been.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import * as yaml from 'js-yaml';

import {
  aRun,
  type Body,
  newNamespace,
  openTarget,
  type Reply,
  type Target,
} from '../../conformance/target.js';

const GROUP = '/apis/kruntimes.io/v1alpha1';

/** `FUZZ=20 npx mocha ...` looks twenty times as long. */
const runs = (count: number): number => count * Number(process.env.FUZZ ?? 1);

/** Values that parsers and prototypes stumble over. */
const awkward = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1.5,
    1e308,
    2 ** 53,
    '',
    ' ',
    '../..',
    '/',
    '\u0000',
    '\ud800',
    '💥',
    '1e3',
    '30s',
    '-5s',
    '99999999999999999h',
    [],
    {},
    [[]],
    [null],
    { '': '' },
    { constructor: 1 },
    'constructor',
    'a'.repeat(70_000),
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.integer(),
  fc.double({ noNaN: true }),
);
const names = fc.constantFrom(
  'apiVersion',
  'kind',
  'metadata',
  'spec',
  'status',
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'labels',
  'annotations',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'generateName',
  'deletionTimestamp',
  'runtime',
  'source',
  'inline',
  'repoURL',
  'commitSHA',
  'entrypoint',
  'args',
  'env',
  'timeout',
  'retryPolicy',
  'maxAttempts',
  'backoff',
  'retryableReasons',
  'cancelRequested',
  'resources',
  'requests',
  'runs',
  'ttlSecondsAfterFinished',
  'phase',
  'assignedPod',
  'attempt',
  'conditions',
  'template',
  'containers',
  'replicas',
  'capacity',
  'port',
  'artifactStore',
  'driver',
  'constructor',
  'toString',
  '__proto__',
  '$patch',
);

type Path = ReadonlyArray<string | number>;
type Mutation = Readonly<{ at: Path; put: unknown; remove: boolean }>;
/** Places inside of a good object, so that what is damaged is one thing. */
const inside = fc.constantFrom<Path>(
  [],
  ['metadata'],
  ['metadata', 'labels'],
  ['spec'],
  ['spec', 'env'],
  ['spec', 'retryPolicy'],
  ['spec', 'args'],
  ['spec', 'template'],
  ['spec', 'template', 'spec'],
  ['spec', 'template', 'spec', 'containers', 0],
  ['data'],
);
const mutations = fc.array(
  fc.record<Mutation>({
    at: fc
      .tuple(inside, fc.oneof({ weight: 9, arbitrary: names }, { weight: 1, arbitrary: fc.nat(2) }))
      .map(([place, last]) => [...place, last]),
    put: fc.oneof(
      { weight: 4, arbitrary: awkward },
      { weight: 1, arbitrary: fc.dictionary(names, awkward, { maxKeys: 3 }) },
    ),
    remove: fc.boolean(),
  }),
  { minLength: 1, maxLength: 2 },
);

/** Own properties alone are walked and made, also one named __proto__. */
const mutate = (whole: Body, { at, put, remove }: Mutation): void => {
  let here: Body = whole;
  for (const step of at.slice(0, -1)) {
    const next: unknown = Object.hasOwn(here, step) ? here[step] : undefined;
    if (typeof next === 'object' && next !== null) here = next;
    else break;
  }
  const last = String(at.at(-1));
  if (remove) delete here[last];
  else
    Object.defineProperty(here, last, { value: put, enumerable: true, configurable: true, writable: true });
};

const aRuntime = (name: string): Body => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name },
  spec: { replicas: 0, template: { spec: { containers: [{ name: 'runtime', image: 'none' }] } } },
});
const aClaim = (name: string): Body => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { a: '1' },
});

const specFields = new Map<string, ReadonlyArray<string>>();
/** The fields of spec, as the CRD itself has them. */
const known = (plural: string): ReadonlyArray<string> => {
  let fields = specFields.get(plural);
  if (fields === undefined) {
    const crd = yaml.load(readFileSync(`crds/kruntimes.io_${plural}.yaml`, 'utf8')) as Body;
    fields = Object.keys(crd.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties);
    specFields.set(plural, fields);
  }
  return fields;
};

/** What is wrong is told in Kubernetes' form: never a fault of the server. */
const checkRefusal = ({ code, body }: Reply, what: string): void => {
  expect(code, `${what}: ${JSON.stringify(body).slice(0, 400)}`).to.be.within(400, 499);
  expect(body, what).to.include({ kind: 'Status', status: 'Failure', code });
  expect(body.message, what).to.be.a('string').and.not.equal('');
  if (code !== 422) return;
  for (const cause of body.details?.causes ?? [])
    expect(cause.message, `${what}: ${JSON.stringify(body)}`)
      .to.be.a('string')
      .and.not.equal('');
};

describe('the API server under bad input', () => {
  let target: Target;
  let namespace: string;
  before(async () => {
    target = await openTarget();
    namespace = await newNamespace(target);
  });
  after(() => target.close());

  const collection = (plural: string): string =>
    plural === 'configmaps'
      ? `/api/v1/namespaces/${namespace}/configmaps`
      : `${GROUP}/namespaces/${namespace}/${plural}`;
  const isWell = async (): Promise<void> => {
    const { code } = await target.call('POST', `${collection('runs')}?dryRun=All`, aRun('well'));
    expect(code).to.equal(201);
  };

  it('refuses or stores a damaged object, whatever is wrong with it', async () => {
    const kinds = fc.constantFrom<readonly [string, (name: string) => Body]>(
      ['runs', (name) => aRun(name, { env: { A: '1' }, timeout: '30s', retryPolicy: { maxAttempts: 2 } })],
      ['runtimes', aRuntime],
      ['configmaps', aClaim],
    );
    await fc.assert(
      fc.asyncProperty(
        kinds,
        mutations,
        fc.constantFrom('Strict', 'Warn', 'Ignore'),
        async ([plural, make], changes, validation) => {
          const object = make(`o-${Math.random().toString(36).slice(2)}`);
          for (const change of changes) mutate(object, change);
          const text = JSON.stringify(object);
          const created = await target.call(
            'POST',
            `${collection(plural)}?fieldValidation=${validation}`,
            text,
          );
          if (created.code !== 201) {
            checkRefusal(created, text);
            return;
          }
          const { name } = created.body.metadata;
          const read = await target.call('GET', `${collection(plural)}/${encodeURIComponent(name)}`);
          expect(read.code, text).to.equal(200);
          expect(read.body, 'what was stored is what was answered').to.deep.equal(created.body);
          for (const key of Object.keys(read.body.spec ?? {})) expect(known(plural), text).to.include(key);
          // A second look at the stored object under the strictest rules finds nothing to complain about.
          const again = await target.call(
            'PUT',
            `${collection(plural)}/${name}?fieldValidation=Strict`,
            read.body,
          );
          expect(
            again.code,
            `${text} was stored as ${JSON.stringify(read.body)}: ${again.body.message}`,
          ).to.equal(200);
          await target.call('DELETE', `${collection(plural)}/${name}`);
        },
      ),
      { numRuns: runs(120) },
    );
    await isWell();
  });

  it('applies or refuses any patch', async () => {
    const pointers = fc
      .array(fc.oneof(names, fc.constantFrom('0', '-', '1', '~0', '~1', '')), { maxLength: 4 })
      .map((steps) => steps.map((step) => `/${step}`).join(''));
    const operation = fc.record(
      {
        op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'nonsense'),
        path: pointers,
        from: pointers,
        value: awkward,
      },
      { requiredKeys: ['op'] },
    );
    const merge = fc.dictionary(names, fc.oneof(awkward, fc.dictionary(names, awkward, { maxKeys: 3 })), {
      maxKeys: 3,
    });
    const patches = fc.oneof(
      fc.record({
        type: fc.constant('application/json-patch+json'),
        body: fc.array(operation, { maxLength: 4 }),
      }),
      fc.record({ type: fc.constant('application/merge-patch+json'), body: fc.oneof(merge, awkward) }),
      fc.record({ type: fc.constant('application/strategic-merge-patch+json'), body: merge }),
      fc.record({ type: fc.constant('application/apply-patch+yaml'), body: merge }),
    );
    await target.call('POST', collection('runs'), aRun('patched'));
    await target.call('POST', collection('configmaps'), aClaim('patched'));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('runs/patched', 'runs/patched/status', 'configmaps/patched', 'runtimes/unborn'),
        patches,
        fc.constantFrom(
          '',
          '?fieldManager=fuzz',
          '?fieldManager=fuzz&force=true',
          '?dryRun=All',
          '?fieldValidation=Strict',
        ),
        async (path, { type, body }, query) => {
          const [plural = '', rest = ''] = [path.slice(0, path.indexOf('/')), path.slice(path.indexOf('/'))];
          const text = JSON.stringify(body);
          const reply = await target.call('PATCH', `${collection(plural)}${rest}${query}`, text, { type });
          const what = `${type} ${path}${query} ${text}`;
          if (reply.code > 299) checkRefusal(reply, what);
          else expect(reply.body.metadata, what).to.include({ namespace });
        },
      ),
      { numRuns: runs(200) },
    );
    await isWell();
  });

  it('answers any path, query, method and media type', async () => {
    const segments = fc.array(
      fc.oneof(
        fc.constantFrom(
          'api',
          'apis',
          'v1',
          'kruntimes.io',
          'v1alpha1',
          'namespaces',
          'default',
          'runs',
          'runtimes',
          'pods',
          'status',
          'scale',
          'log',
          'binding',
          'eviction',
          'token',
          'serviceaccounts',
          'openapi',
          'v3',
          'v2',
          'healthz',
          'a%2Fb',
          '%',
          '%00',
          '..',
          '.',
        ),
        fc.string({ unit: 'binary', maxLength: 8 }).map((text) => {
          try {
            return encodeURIComponent(text);
          } catch {
            return '%EF%BF%BD';
          }
        }),
      ),
      { maxLength: 7 },
    );
    const queries = fc.dictionary(
      fc.constantFrom(
        'labelSelector',
        'fieldSelector',
        'limit',
        'continue',
        'resourceVersion',
        'resourceVersionMatch',
        'timeoutSeconds',
        'dryRun',
        'fieldManager',
        'fieldValidation',
        'propagationPolicy',
        'gracePeriodSeconds',
        'tailLines',
        'sinceSeconds',
        'pretty',
      ),
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 20 }),
        fc.constantFrom('a in (b', 'a=b,,', '!', '-1', '99999999999999999999', 'e30=', 'a in ()', '='),
      ),
      { maxKeys: 3 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'),
        segments,
        queries,
        fc.constantFrom(
          'application/json',
          'application/yaml',
          'application/vnd.kubernetes.protobuf',
          'text/plain',
          'multipart/form-data',
          'a/b/c;;',
        ),
        fc.oneof(
          fc.constant(undefined),
          fc.string({ unit: 'binary', maxLength: 60 }),
          fc.constantFrom('{', '[]', 'null', '"', 'k8s\u0000', '&a [*a]', '!!js/function x', '{"kind":'),
        ),
        async (method, path, query, type, body) => {
          // Whole collections are others' tests' business.
          fc.pre(method !== 'DELETE' || path.length > 5);
          const url = `/${path.map((step, n) => (n === 0 && step === '' ? '-' : step)).join('/')}?${new URLSearchParams(query)}`;
          const reply = await target.call(method, url, body, { type });
          expect(
            reply.code,
            `${method} ${url} ${type} ${JSON.stringify(body)}: ${JSON.stringify(reply.body).slice(0, 300)}`,
          ).to.be.within(200, 499);
        },
      ),
      { numRuns: runs(300) },
    );
    await isWell();
  });

  it('reads any protobuf body as an object or refuses it', async () => {
    const field = fc.record({
      number: fc.integer({ min: 0, max: 20 }),
      wire: fc.nat(7),
      bytes: fc.uint8Array({ maxLength: 12 }),
    });
    const message: fc.Arbitrary<Buffer> = fc
      .array(field, { maxLength: 6 })
      .map((fields) =>
        Buffer.concat(
          fields.flatMap(({ number, wire, bytes }) => [
            Buffer.from([(number << 3) | wire, ...(wire === 2 ? [bytes.length] : [])]),
            Buffer.from(bytes),
          ]),
        ),
      );
    const envelope = (kind: string, raw: Buffer): Buffer => {
      const text = (number: number, value: string | Buffer) =>
        Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), Buffer.from(value)]);
      return Buffer.concat([
        Buffer.from('k8s\0'),
        text(1, Buffer.concat([text(1, 'v1'), text(2, kind)])),
        text(2, raw.subarray(0, 120)),
      ]);
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('ConfigMap', 'Pod', 'Event', 'Secret', 'Nonsense'),
        message,
        async (kind, raw) => {
          const reply = await target.call(
            'POST',
            `${collection('configmaps')}?dryRun=All`,
            envelope(kind, raw).toString('latin1'),
            {
              type: 'application/vnd.kubernetes.protobuf',
            },
          );
          if (reply.code > 299) checkRefusal(reply, raw.toString('hex'));
        },
      ),
      { numRuns: runs(150) },
    );
    await isWell();
  });

  it('refuses bodies that grow when they are read', async () => {
    const levels = Array.from(
      { length: 9 },
      (_, n) =>
        `l${n}: &l${n} [${Array(9)
          .fill(n === 0 ? 'lol' : `*l${n - 1}`)
          .join(', ')}]`,
    );
    const bomb = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n${levels.join('\n')}\n`;
    const refused = await target.call('POST', collection('configmaps'), bomb, { type: 'application/yaml' });
    checkRefusal(refused, 'aliases');
    expect(refused.body.message).to.contain('aliases');
    const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
    checkRefusal(await target.call('POST', collection('configmaps'), deep), 'deep JSON');
    checkRefusal(
      await target.call('POST', collection('configmaps'), `a: ${'['.repeat(50_000)}`, {
        type: 'application/yaml',
      }),
      'deep YAML',
    );
    await isWell();
  });

  it('takes a field for unknown that only every JavaScript object has', async () => {
    for (const field of ['constructor', 'toString', 'hasOwnProperty']) {
      const run = aRun('odd', { [field]: 'x' });
      const strict = await target.call('POST', `${collection('runs')}?fieldValidation=Strict`, run);
      expect(strict.code).to.equal(400);
      expect(strict.body.message).to.contain(`unknown field "spec.${field}"`);
    }
    const shadowed = JSON.stringify(aRun('odd')).replace('"spec":{', '"spec":{"__proto__":{"timeout":"1s"},');
    const refused = await target.call('POST', collection('runs'), shadowed);
    expect(refused.code).to.equal(400);
    expect(refused.body.message).to.contain('__proto__');
  });
});
