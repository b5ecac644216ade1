import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { Failure } from '../../../src/cli/failure.js';
import { jsonPath } from '../../../src/cli/output/jsonpath.js';

const object = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'x',
    generation: 3,
    labels: { 'a.b/c': '1<2', z: 'q' },
    finalizers: ['one/a', 'two/b', 'three/c'],
    ownerReferences: [
      { apiVersion: 'v1', kind: 'A', name: 'n1', uid: 'u1', controller: true },
      { apiVersion: 'v1', kind: 'B', name: 'n2', uid: 'u2' },
    ],
  },
  data: { k: 'v' },
};

/** Template → what both kubectl and krt print. */
const asKubectl: ReadonlyArray<readonly [template: string, printed: string]> = [
  ['{.metadata.name}', 'x'],
  ['{.metadata.generation}', '3'],
  ['{$.metadata.name} {@.kind}', 'x ConfigMap'],
  ['{.metadata.labels}', '{"a.b/c":"1\\u003c2","z":"q"}'],
  ['{.metadata.labels.a\\.b/c}', '1<2'],
  ['{.metadata.finalizers}', '["one/a","two/b","three/c"]'],
  ['{.metadata.finalizers[0]}', 'one/a'],
  ['{.metadata.finalizers[-1]}', 'three/c'],
  ['{.metadata.finalizers[-1:]}', 'three/c'],
  ['{.metadata.finalizers[0:2]}', 'one/a two/b'],
  ['{.metadata.finalizers[-2:]}', 'two/b three/c'],
  ['{.metadata.finalizers[::2]}', 'one/a three/c'],
  ['{.metadata.finalizers[1:1]}', ''],
  ['{.metadata.finalizers[0,2]}', 'one/a three/c'],
  ["{.metadata['name','generation']}", 'x 3'],
  ["{['metadata']['name']}", 'x'],
  ['{.metadata.ownerReferences[*].name}', 'n1 n2'],
  ["{.metadata.ownerReferences[*]['name','uid']}", 'n1 n2 u1 u2'],
  ['{.metadata.ownerReferences[?(@.kind=="B")].name}', 'n2'],
  ["{.metadata.ownerReferences[?(@.kind!='B')].uid}", 'u1'],
  ['{.metadata.ownerReferences[?(@.name>"n1")].name}', 'n2'],
  ['{.metadata.ownerReferences[?(@.controller)].name}', 'n1'],
  ['{.metadata.ownerReferences[?(@.controller==true)].name}', 'n1'],
  ['{.metadata.ownerReferences[?(@.nope=="B")].name}', ''],
  ["{.metadata.ownerReferences[?(@.uid=='u2')]}", '{"apiVersion":"v1","kind":"B","name":"n2","uid":"u2"}'],
  ['{..uid}', 'u1 u2'],
  ['{.metadata.ownerReferences..name}', 'n1 n2'],
  ['{.data.*}', 'v'],
  ['{.nope}|{.metadata.nope.deeper}', '|'],
  ['{.kind}{"\\t"}{.metadata.name}', 'ConfigMap\tx'],
  ["text {.kind} 'q'", "text ConfigMap 'q'"],
  ['{\'single\'} {"a\\"b"}', 'single a"b'],
  ['{range .metadata.ownerReferences[*]}{.name}={.kind}{";"}{end}', 'n1=A;n2=B;'],
  ['{range .metadata.finalizers[*]}{@}{","}{end}', 'one/a,two/b,three/c,'],
  ['{range .metadata.ownerReferences[*]}[{range .nope[*]}{.x}{end}{.uid}]{end}', '[u1][u2]'],
];

describe('jsonPath', () => {
  for (const [template, printed] of asKubectl)
    it(`${template} → ${JSON.stringify(printed)}`, () => {
      expect(jsonPath(template)(object)).to.equal(printed);
    });

  it('prints what kubectl prints, for all of the above', function () {
    if (spawnSync('kubectl', ['version', '--client']).status !== 0) return this.skip();
    const folder = mkdtempSync(join(tmpdir(), 'krt-jsonpath-'));
    try {
      const file = join(folder, 'object.json');
      writeFileSync(file, JSON.stringify(object));
      const all = asKubectl.map(([template]) => template).join('\n');
      const args = ['patch', '--local', '-f', file, '--type', 'merge', '-p', '{}', '-o', `jsonpath=${all}`];
      expect(execFileSync('kubectl', args, { encoding: 'utf8' })).to.equal(jsonPath(all)(object));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('takes a bare path as if it stood in braces', () => {
    expect(jsonPath('.metadata.name')(object)).to.equal('x');
  });

  it('takes a quoted key with dots as one key', () => {
    expect(jsonPath("{.metadata.labels['a.b/c']}")(object)).to.equal('1<2');
  });

  it('sees the whole object as $ inside a range', () => {
    expect(jsonPath('{range .metadata.finalizers[0:1]}{$.kind}{end}')(object)).to.equal('ConfigMap');
  });

  for (const [template, why] of [
    ['{.kind', /not closed/],
    ['{end}', /without \{range\}/],
    ['{range .x}', /without \{end\}/],
    ['{.a[}', /index is missing/],
    ['{.a[?(@.b=="c"]}', /must end with \)/],
    ['{"a}', /does not end/],
    ['{}', /unexpected }/],
  ] as const)
    it(`${template} is a usage error`, () => {
      expect(() => jsonPath(template))
        .to.throw(Failure, why)
        .with.property('exitCode', 2);
    });

  for (const [template, why] of [
    ['{.metadata.finalizers[5]}', /out of bounds: index 5, length 3/],
    ['{.metadata.finalizers[2:1]}', /starting index 2 is greater/],
    ['{.metadata.name[0]}', /is not an array/],
  ] as const)
    it(`${template} is an error of what it meets`, () => {
      expect(() => jsonPath(template)(object))
        .to.throw(Failure, why)
        .with.property('exitCode', 1);
    });
});
