/**
 * What do the charts render to? The goldens below `golden/` say it in full; after a wanted change they are written
 * anew by `UPDATE_GOLDENS=1 npx mocha test/charts/charts.test.ts`. Without helm all but one of these are skipped.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import type { Body } from '../conformance/target.js';
import { cases } from './cases.js';
import { chart, findHelm, helm, render, renderObjects } from './helm.js';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const golden = (name: string): string => file(`golden/${name}.yaml`);

describe('charts', () => {
  const found = findHelm();
  const path = found ?? '';
  if (found === undefined) process.stdout.write('  skipped: the tests of the charts: helm is not here\n');
  const withHelm = found === undefined ? it.skip : it;

  it('kruntimes installs the CRDs of this checkout (cp crds/*.yaml charts/kruntimes/files/crds/)', () => {
    const crds = file('../../crds');
    const inChart = join(chart('kruntimes'), 'files/crds');
    expect(readdirSync(inChart)).to.deep.equal(readdirSync(crds).filter((name) => name.endsWith('.yaml')));
    for (const name of readdirSync(inChart))
      expect(readFileSync(join(inChart, name), 'utf8')).to.equal(readFileSync(join(crds, name), 'utf8'));
  });

  it('both charts have the version of the package', () => {
    const { version } = JSON.parse(readFileSync(file('../../package.json'), 'utf8'));
    for (const name of ['kruntimes', 'kruntimes-runtimes'] as const) {
      const manifest = yaml.load(readFileSync(join(chart(name), 'Chart.yaml'), 'utf8')) as Body;
      expect([manifest.version, manifest.appVersion]).to.deep.equal([version, version]);
    }
  });

  for (const each of cases)
    withHelm(`${each.name} renders to its golden`, () => {
      // The CRDs are those of crds/, which is tested above.
      const text = render(path, each.chart, each.namespace, {
        ...each.values,
        ...(each.chart === 'kruntimes' ? { crds: { install: false } } : {}),
      });
      if (process.env.UPDATE_GOLDENS) writeFileSync(golden(each.name), text);
      expect(text).to.equal(readFileSync(golden(each.name), 'utf8'));
    });

  withHelm('helm lint has nothing to say', () => {
    for (const name of ['kruntimes', 'kruntimes-runtimes'] as const) {
      const { status, stdout } = helm(path, ['lint', '--strict', '--quiet', chart(name)]);
      expect([status, stdout.trim()]).to.deep.equal([0, '']);
    }
  });

  withHelm('the CRDs are kept when the release is uninstalled', () => {
    const crds = yaml
      .loadAll(render(path, 'kruntimes', 'kruntimes-system', {}, ['--show-only=templates/crds.yaml']))
      .map((object: Body) => [object.metadata.name, object.metadata.annotations['helm.sh/resource-policy']]);
    expect(crds).to.deep.equal([
      ['runs.kruntimes.io', 'keep'],
      ['runtimes.kruntimes.io', 'keep'],
    ]);
  });

  withHelm('the CRD in the release is the one in crds/ but for its metadata', () => {
    const rendered = yaml.loadAll(
      render(path, 'kruntimes', 'kruntimes-system', {}, ['--show-only=templates/crds.yaml']),
    ) as ReadonlyArray<Body>;
    for (const crd of rendered)
      expect(crd.spec).to.deep.equal(
        (
          yaml.load(
            readFileSync(file(`../../crds/kruntimes.io_${crd.spec.names.plural}.yaml`), 'utf8'),
          ) as Body
        ).spec,
      );
  });

  withHelm('the rules are those that the operator is tested with (test/cluster/rbac.yaml)', () => {
    const rules = (objects: ReadonlyArray<Body>): ReadonlyArray<string> =>
      objects
        .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
        .flatMap((role) => role.rules.map((rule: Body) => JSON.stringify([role.kind, rule])))
        .sort();
    const tested = yaml.loadAll(readFileSync(file('../cluster/rbac.yaml'), 'utf8')) as ReadonlyArray<Body>;
    const values = { crds: { install: false }, artifacts: { defaultClaim: 'claim' } };
    expect(rules(renderObjects(path, 'kruntimes', 'kruntimes-system', values))).to.deep.equal(rules(tested));
  });

  withHelm('two releases in two namespaces have no object in common', () => {
    const names = (namespace: string, values: Body): ReadonlyArray<string> =>
      renderObjects(path, 'kruntimes', namespace, values).map(
        ({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`,
      );
    const one = names('one', { crds: { install: false } });
    const two = names('two', { crds: { install: false }, watchNamespaces: ['one', 'team'] });
    expect(one.filter((name) => two.includes(name))).to.deep.equal([]);
  });

  for (const [what, name, values, said] of [
    ['a value that is not known', 'kruntimes', { replica: 3 }, 'replica'],
    ['no replicas', 'kruntimes', { replicas: 0 }, 'replicas'],
    ['a registry with a slash at its end', 'kruntimes', { images: { registry: 'r.example/' } }, 'registry'],
    ['a namespace that is none', 'kruntimes', { watchNamespaces: ['Team_A'] }, 'watchNamespaces'],
    ['a mode of TLS that is not known', 'kruntimes', { sessions: { tls: { mode: 'none' } } }, 'mode'],
    [
      'cert-manager without an issuer',
      'kruntimes',
      { sessions: { tls: { mode: 'certManager' } } },
      'issuerRef',
    ],
    [
      'an exempt user that is no ServiceAccount',
      'kruntimes',
      { admissionPolicy: { exemptUsers: ['me'] } },
      'exemptUsers',
    ],
    ['a Runtime without an image', 'kruntimes-runtimes', { runtimes: { other: { replicas: 1 } } }, 'image'],
    ['a Runtime with a wrong name', 'kruntimes-runtimes', { runtimes: { Bash_5: { image: 'a' } } }, 'Bash_5'],
    [
      'a field of a Runtime that is not known',
      'kruntimes-runtimes',
      { runtimes: { bash: { replica: 1 } } },
      'replica',
    ],
  ] as ReadonlyArray<readonly [string, 'kruntimes' | 'kruntimes-runtimes', Body, string]>)
    withHelm(`${name} refuses ${what}`, () => {
      expect(() => render(path, name, 'default', values)).to.throw(said);
    });
});
