/**
 * A kubeconfig of any content.
 *
 * - it gives a cluster with an http or https URL, or one line that says where it is wrong; it never throws
 * - no credential that is in it is repeated in that line
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { clusterFromKubeconfig } from '../../../src/io/kube/cluster.js';

const SECRET = 'sesame-7f3a91';

const whole = {
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'c',
  clusters: [{ name: 'one', cluster: { server: 'https://one.example', 'insecure-skip-tls-verify': true } }],
  contexts: [{ name: 'c', context: { cluster: 'one', user: 'u', namespace: 'n' } }],
  users: [
    { name: 'u', user: { token: SECRET, username: 'x', password: SECRET, 'client-key-data': btoa(SECRET) } },
  ],
};

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Every place in it, as the keys that lead there. */
const placesIn = (value: Json, path: ReadonlyArray<string> = []): ReadonlyArray<ReadonlyArray<string>> => [
  path,
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...path, key]))
    : []),
];

const replaced = (value: Json, [key, ...rest]: ReadonlyArray<string>, by: Json): Json => {
  if (key === undefined) return by;
  if (Array.isArray(value))
    return value.map((inner, at) => (String(at) === key ? replaced(inner, rest, by) : inner));
  return typeof value === 'object' && value !== null
    ? { ...value, [key]: replaced(value[key] ?? null, rest, by) }
    : by;
};

const anything: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, 0, -1, 1e308, '', [], {}, [null], { name: null }, 'x'.repeat(10_000)),
  fc.constantFrom<Json>(
    'ftp://x',
    'https://',
    'http://[',
    'https://u:p@h:99999/',
    '/no/such/file',
    '\0',
    '__proto__',
  ),
  fc.string(),
  fc.jsonValue() as fc.Arbitrary<Json>,
);

const mutated = fc
  .array(fc.tuple(fc.constantFrom(...placesIn(whole)), anything), { minLength: 1, maxLength: 3 })
  .map((changes) => changes.reduce<Json>((value, [path, by]) => replaced(value, path, by), whole));

const check = async (text: string): Promise<'Right' | 'Left'> => {
  const cluster = await clusterFromKubeconfig({ text, file: 'given' });
  if (E.isRight(cluster)) {
    expect(cluster.right.server.protocol).to.match(/^https?:$/);
    expect(cluster.right.namespace).to.be.a('string');
    return 'Right';
  }
  const { message } = cluster.left;
  expect(message).to.not.equal('');
  expect(message).to.not.contain(SECRET).and.not.contain(btoa(SECRET));
  expect(message).to.not.contain('\n');
  return 'Left';
};

describe('clusterFromKubeconfig, of any content', () => {
  it('reads or refuses what is nearly a kubeconfig, and repeats no credential', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(mutated, async (value) => {
        seen.add(await check(JSON.stringify(value)));
      }),
      { numRuns: 600 },
    );
    expect([...seen].sort()).to.deep.equal(['Left', 'Right']);
  });

  it('reads or refuses any text', () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ maxLength: 200 }),
          fc.nat({ max: 500 }).map((length) => JSON.stringify(whole).slice(0, length)),
          fc.constantFrom(
            '&a [*a]',
            '- &a [1]\n- *a',
            '? ',
            '!!js/function x',
            `token: ${SECRET}\n  bad: [`,
            '%YAML 9',
          ),
        ),
        async (text) => {
          await check(text);
        },
      ),
      { numRuns: 600 },
    ));
});
