import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { commandLine } from '../../../src/embedded/kubelet/command-line.js';
import { fieldValue, quantity, resourceValue } from '../../../src/embedded/kubelet/downward.js';
import { containerEnvironment } from '../../../src/embedded/kubelet/environment.js';
import { expandReferences } from '../../../src/embedded/kubelet/expand.js';
import { commandOfImage, decodeImages, ownImages, splitWords } from '../../../src/embedded/kubelet/images.js';
import { rewriteMountPath, rewriteVariable } from '../../../src/embedded/kubelet/loopback.js';
import type { Container } from '../../../src/embedded/kubelet/pod.js';
import { carriesMark } from '../../../src/embedded/kubelet/sweep.js';
import { aContainer, aPod } from './pod-builder.js';

const machine = { nodeName: 'local', cpus: 4, memoryBytes: 2 ** 33, ip: '127.0.0.1' };
const mounts = [
  { mountPath: '/workspace', folder: '/D/ws' },
  { mountPath: '/workspace/deep/', folder: '/D/deep' },
];

describe('expandReferences', () => {
  it('expands what is known, keeps what is not, and unescapes', () => {
    const values = new Map([['A', '1']]);
    expect(expandReferences('$(A)-$(B)-$$(A)-$A-$(A', values)).to.equal('1-$(B)-$(A)-$A-$(A');
  });
});

describe('rewriteMountPath', () => {
  it('replaces the longest mount path at the start, at a path boundary only', () => {
    const rewritten = ['/workspace', '/workspace/a', '/workspace/deep/x', '/workspaces', 'x/workspace'].map(
      (value) => rewriteMountPath(value, mounts),
    );
    expect(rewritten).to.deep.equal(['/D/ws', '/D/ws/a', '/D/deep/x', '/workspaces', 'x/workspace']);
  });
});

describe('rewriteVariable', () => {
  it('makes sockets of KRUNTIME addresses and of nothing else', () => {
    const rewrite = (name: string, value: string): string => rewriteVariable(name, value, '/run/p', []);
    expect(rewrite('KRUNTIME_LISTEN_ADDRESS', '0.0.0.0:19091')).to.equal('unix:/run/p/19091.sock');
    expect(rewrite('KRUNTIME_LOGS_ADDRESS', '[::1]:9093')).to.equal('unix:/run/p/9093.sock');
    expect(rewrite('OTHER_ADDRESS', '0.0.0.0:1')).to.equal('0.0.0.0:1');
    expect(rewrite('KRUNTIME_X_ADDRESS', 'example:1')).to.equal('example:1');
    expect(rewrite('KRUNTIME_X_ADDRESS', '1.2.3.4:99999')).to.equal('1.2.3.4:99999');
  });
});

describe('containerEnvironment', () => {
  const environment = (container: Partial<Container>, data: Record<string, string> = {}) =>
    containerEnvironment({
      pod: aPod({}, { labels: { app: 'x' } }),
      container: aContainer('main', container),
      machine,
      sources: {
        configMap: (name) => (name === 'cm' ? new Map(Object.entries(data)) : undefined),
        secret: () => undefined,
      },
      base: new Map([['PATH', '/bin']]),
      markers: new Map([['KRUNTIME_POD_UID', 'u']]),
      sockets: '/run/p',
      mounts,
    });

  it('layers base, envFrom and env, expands in order, and lets nothing override a marker', () => {
    const result = environment(
      {
        envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }],
        env: [
          { name: 'A', value: '/workspace' },
          { name: 'B', value: '$(A)/$(P_k)/$(C)' },
          { name: 'C', value: 'late' },
          { name: 'KRUNTIME_POD_UID', value: 'forged' },
          { name: 'L', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
          { name: 'KRUNTIME_PROBES_ADDRESS', value: '0.0.0.0:9094' },
        ],
      },
      { k: 'v' },
    );
    if (E.isLeft(result)) throw new Error(result.left);
    expect(Object.fromEntries(result.right.variables)).to.deep.equal({
      PATH: '/bin',
      P_k: 'v',
      A: '/D/ws',
      B: '/D/ws/v/$(C)',
      C: 'late',
      KRUNTIME_POD_UID: 'u',
      L: 'x',
      KRUNTIME_PROBES_ADDRESS: 'unix:/run/p/9094.sock',
    });
    expect([...result.right.socketPorts]).to.deep.equal([9094]);
  });

  it('names what is missing, unless it is optional', () => {
    const key = (optional: boolean) => [
      { name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'no', optional } } },
    ];
    expect(environment({ env: key(false) })).to.deep.equal(
      E.left("couldn't find key no in ConfigMap default/cm"),
    );
    expect(E.isRight(environment({ env: key(true) }))).to.equal(true);
    expect(environment({ envFrom: [{ secretRef: { name: 's' } }] })).to.deep.equal(
      E.left('Secret default/s not found (envFrom)'),
    );
  });
});

describe('commandLine', () => {
  const image = { argv: ['node', 'x.js'], watchesParent: true };

  it('appends args to the image, and lets command replace it', () => {
    const line = (container: Partial<Container>) =>
      commandLine(aContainer('main', container), image, new Map([['V', '1']]), mounts);
    expect(line({ args: ['$(V)', '/workspace/f'] })).to.deep.equal({
      argv: ['node', 'x.js', '1', '/D/ws/f'],
      watchesParent: true,
    });
    expect(line({ command: ['sh', '-c'], args: ['true'] })).to.deep.equal({
      argv: ['sh', '-c', 'true'],
      watchesParent: false,
    });
  });
});

describe('commandOfImage', () => {
  const own = ownImages('/p', 'node');

  it('knows our images under any registry, tag and digest', () => {
    for (const image of [
      'kruntimes-runtimed',
      'kruntimes-runtimed:v1',
      'ghcr.io/x/kruntimes-runtimed:v1',
      'localhost:5000/kruntimes-runtimed@sha256:00',
    ])
      expect(commandOfImage(image, own, new Map())?.argv).to.deep.equal(['node', '/p/runtimed.js']);
    expect(commandOfImage('kruntimes-runtimed-x', own, new Map())).to.equal(undefined);
  });

  it('prefers the most exact entry of the user, and the user to us', () => {
    const mapped = decodeImages({
      python: 'python3 -u',
      'python:2': ['python2'],
      'kruntimes-bash-runtime': './mine',
    });
    if (E.isLeft(mapped)) throw new Error(mapped.left);
    const argv = (image: string) => commandOfImage(image, own, mapped.right)?.argv;
    expect(argv('docker.io/library/python:3')).to.deep.equal(['python3', '-u']);
    expect(argv('python:2')).to.deep.equal(['python2']);
    expect(argv('kruntimes-bash-runtime:latest')).to.deep.equal(['./mine']);
  });
});

describe('splitWords', () => {
  it('separates at blanks, honours quotes and backslashes, refuses an open quote', () => {
    expect(splitWords(`a 'b c' "d \\"e" f\\ g h''i ''`)).to.deep.equal(
      E.right(['a', 'b c', 'd "e', 'f g', 'hi', '']),
    );
    expect(E.isLeft(splitWords(`a 'b`))).to.equal(true);
    expect(E.isLeft(splitWords('  '))).to.equal(true);
  });
});

describe('resourceValue', () => {
  it('reads quantities and falls back to the machine', () => {
    expect(['1500m', '1Gi', '2k', 3, 'x'].map(quantity)).to.deep.equal([1.5, 2 ** 30, 2000, 3, Number.NaN]);
    const container = aContainer('main', { resources: { limits: { cpu: '1500m', memory: '1Gi' } } });
    expect(resourceValue(container, machine, 'limits.cpu')).to.equal('2');
    expect(resourceValue(container, machine, 'limits.memory', '1Mi')).to.equal('1024');
    expect(resourceValue(aContainer('x'), machine, 'limits.cpu')).to.equal('4');
    expect(resourceValue(container, machine, 'bogus')).to.equal(undefined);
  });
});

describe('fieldValue', () => {
  it('knows the fields of the downward API and no others', () => {
    const pod = aPod({ serviceAccountName: 'sa' }, { labels: { b: '2', a: '1' } });
    expect(fieldValue(pod, machine, 'metadata.labels')).to.equal('a="1"\nb="2"');
    expect(fieldValue(pod, machine, 'spec.serviceAccountName')).to.equal('sa');
    expect(fieldValue(pod, machine, 'spec.containers')).to.equal(undefined);
  });
});

describe('carriesMark', () => {
  it('tells a container from another whose name begins alike', () => {
    const environ = 'PATH=/bin\0KRT_POD=id/1/u/main\0HOME=/D/pods/u/containers/main\0';
    expect(carriesMark(environ, { prefix: 'id/1/u/main' })).to.equal(true);
    expect(carriesMark(environ, { prefix: 'id/1/u/mai' })).to.equal(false);
    expect(carriesMark(environ, { prefix: 'id/1/' })).to.equal(true);
    expect(carriesMark(environ, { prefix: 'other/' })).to.equal(false);
    expect(carriesMark(environ, { prefix: 'other/', folder: '/D/pods/u' })).to.equal(true);
    expect(carriesMark('KRT_POD=id/1/u/main/exec-3\0', { prefix: 'id/1/u/main' })).to.equal(true);
  });
});
