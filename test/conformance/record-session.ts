/**
 * Records what a stock kubectl asks of a real API server and what it is answered, for session.test.ts:
 * `npm run test:cluster -- --record`, whenever the CRDs change what is answered.
 *
 * kubectl speaks to a proxy of ours. Discovery and OpenAPI are left out: they tell of resources that only one has.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Exchange, SESSION_FILE } from './session.js';
import { openTarget } from './target.js';

const guide = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../src/demo/guide/${name}`, import.meta.url)), 'utf8');
const json = (object: object): string => JSON.stringify(object);
const run = (name: string, spec: object): string =>
  json({ apiVersion: 'kruntimes.io/v1alpha1', kind: 'Run', metadata: { name }, spec });
const finished = {
  status: {
    phase: 'Succeeded',
    attempt: 1,
    exitCode: 0,
    completionTime: '2026-01-01T00:00:00.000001Z',
    outputs: { result: 'ok' },
    conditions: [
      {
        type: 'Finished',
        status: 'True',
        reason: 'Succeeded',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      },
    ],
  },
};

/** Arguments, and what is given on standard input. */
const session: ReadonlyArray<readonly [string, string?]> = [
  ['apply -f -', json({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'session' } })],
  ['apply -f -', [guide('runtime.yaml'), guide('run.yaml'), guide('run-env.yaml')].join('---\n')],
  ['apply -f -', [guide('runtime.yaml'), guide('run.yaml'), guide('run-env.yaml')].join('---\n')],
  ['apply -f -', guide('runtime.yaml').replace('replicas: 2', 'replicas: 3')],
  ['apply --dry-run=server -f -', guide('run-source.yaml')],
  ['diff -f -', guide('runtime.yaml')],
  ['create -f -', guide('run.yaml')],
  ['create -f -', guide('refused-absolute.yaml')],
  ['create -f -', guide('refused-dots.yaml')],
  ['create -f -', run('typo', { runtime: 'bash', argz: ['x'], args: ['y'] })],
  ['create --validate=warn -f -', run('warned', { runtime: 'bash', argz: ['x'], args: ['y'] })],
  ['create -f -', run('many-faults', { runtime: 'No', timeout: '5', env: { KRUNTIME_A: 'x' }, args: ['y'] })],
  ['get runs'],
  ['get rn -o wide'],
  ['get rt,rn'],
  ['get run hello -o yaml'],
  ['get run missing'],
  ['get runs -A --field-selector=spec.runtime=bash,metadata.namespace=session'],
  ['get runs --field-selector=spec.nothing=1'],
  ['get runs -l a in (b'],
  ['get runs --chunk-size=1 -o name'],
  ['label run env-example kind=example'],
  ['label run env-example kind=other'],
  ['annotate run env-example note=here'],
  ['get runs -l kind=example -o name'],
  ['scale runtime bash --replicas=5'],
  ['scale runtime bash --replicas=6 --current-replicas=4'],
  ['get runtime bash --subresource=scale -o yaml'],
  ['apply --server-side -f -', guide('runtime.yaml')],
  ['apply --server-side --force-conflicts -f -', guide('runtime.yaml')],
  ['patch run hello --type merge -p {"spec":{"cancelRequested":true}}'],
  ['patch run hello --type merge -p {"spec":{"cancelRequested":false}}'],
  ['patch run hello --type merge -p {"spec":{"runtime":"other"}}'],
  ['patch run hello --type json -p [{"op":"test","path":"/spec/runtime","value":"no"}]'],
  ['patch run hello --type json -p [{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]'],
  ['patch run hello --type strategic -p {"metadata":{"labels":{"c":"d"}}}'],
  [`patch run env-example --subresource=status --type merge -p ${json(finished)}`],
  ['patch run env-example --subresource=status --type merge -p {"status":{"phase":"Failed"}}'],
  ['get run env-example -o wide'],
  ['describe run env-example'],
  [
    'create -o yaml -f -',
    json({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb: 'create', group: 'kruntimes.io', resource: 'runs' } },
    }),
  ],
  ['get runs --as=nobody'],
  [
    'create -f -',
    json({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' }, data: { a: 'b' } }),
  ],
  [
    'replace -f -',
    json({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' }, data: { a: 'c' } }),
  ],
  ['get configmap made'],
  ['create -f -', json({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'worker' } })],
  ['get serviceaccount worker'],
  ['delete configmap made'],
  ['delete run hello --wait=false'],
  ['delete run hello --wait=false'],
  ['delete runtime bash --cascade=orphan --wait=false'],
  ['delete runs --all --wait=false'],
];

const isDiscovery = (path: string): boolean =>
  /^\/(api|apis|version|openapi\/.*|api\/v1|apis\/[^/]+\/[^/]+)(\?|$)/.test(path);

const target = await openTarget();
const namespace = '/api/v1/namespaces/session';
if ((await target.call('GET', namespace)).code !== 404)
  throw new Error('there is a namespace named session: record on a new cluster');
const exchanges: Exchange[] = [];
const proxy = createServer((request, response) => {
  void (async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = 'GET', url: path = '/', headers } = request;
    const kept = Object.fromEntries(
      ['accept', 'user-agent', 'impersonate-user'].flatMap((name) => {
        const value = headers[name];
        return typeof value === 'string' ? [[name, value.replace(/^(kubectl\/v\d+\.\d+).*/, '$1')]] : [];
      }),
    );
    const text = Buffer.concat(chunks);
    const type = headers['content-type'];
    const reply = await target.call(method, path, text.length === 0 ? undefined : text.toString('latin1'), {
      headers: kept,
      ...(type === undefined ? {} : { type }),
    });
    const body = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
    // Events are asked for in protobuf.
    if (!isDiscovery(path) && typeof reply.body !== 'string')
      exchanges.push({
        method,
        path,
        headers: kept,
        ...(type === undefined ? {} : { type, sent: JSON.parse(text.toString()) }),
        code: reply.code,
        got: reply.body,
        ...(reply.headers.warning === undefined ? {} : { warning: String(reply.headers.warning) }),
      });
    response.writeHead(reply.code, {
      'content-type': reply.headers['content-type'] ?? 'application/json',
      ...(reply.headers.warning === undefined ? {} : { warning: reply.headers.warning }),
    });
    response.end(body);
  })();
});
proxy.listen(0, '127.0.0.1');
await once(proxy, 'listening');
const home = mkdtempSync(join(tmpdir(), 'krt-session-'));
const server = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
for (const [line, input = ''] of session) {
  const words = line.startsWith('get runs -l a in') ? ['get', 'runs', '-l', 'a in (b'] : line.split(' ');
  exchanges.push({ kubectl: line });
  const child = spawn('kubectl', ['--server', server, '--namespace=session', ...words], {
    env: { ...process.env, HOME: home, KUBECONFIG: join(home, 'none') },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  // Whoever ends without reading it has a reason, which its code tells.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  await once(child, 'close');
}
writeFileSync(SESSION_FILE, `${JSON.stringify(exchanges, undefined, 1)}\n`);
await target.call('DELETE', namespace);
proxy.close();
await target.close();
rmSync(home, { recursive: true, force: true });
