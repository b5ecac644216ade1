/** Where do the programs of a cluster come from? */
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import { apiLevelPrograms, choosePrograms, nodeLevelPrograms, type Program } from './binaries.js';

const API: ReadonlyArray<Program> = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'];
const NODE: ReadonlyArray<Program> = [...API, 'kube-scheduler', 'kube-proxy', 'kubelet'];
const all = (folder: string, names: ReadonlyArray<string>) => names.map((name) => `${folder}/${name}`);

describe('programs of a cluster', () => {
  for (const [what, names, assets, there, from, missing] of [
    ['nothing is there: all are built', apiLevelPrograms, undefined, [], [], API],
    ['all were built before', apiLevelPrograms, undefined, all('/cache', API), all('/cache', API), []],
    [
      "the machine's own kubectl saves a build",
      apiLevelPrograms,
      undefined,
      ['/usr/bin/kubectl', '/usr/bin/etcd'],
      ['/usr/bin/kubectl'],
      ['etcd', 'kube-apiserver', 'kube-controller-manager'],
    ],
    [
      'one that was built goes before that of the machine',
      apiLevelPrograms,
      undefined,
      [...all('/cache', API), '/usr/bin/kubectl'],
      all('/cache', API),
      [],
    ],
    ['an empty KUBEBUILDER_ASSETS is none', apiLevelPrograms, '', all('/cache', API), all('/cache', API), []],
    [
      'KUBEBUILDER_ASSETS wins over all',
      apiLevelPrograms,
      '/assets',
      [...all('/assets', API), ...all('/cache', API), '/usr/bin/kubectl'],
      all('/assets', API),
      [],
    ],
    [
      'what setup-envtest downloads is enough, and nothing of the cache is mixed in',
      apiLevelPrograms,
      '/assets',
      [...all('/assets', ['etcd', 'kube-apiserver', 'kubectl']), ...all('/cache', API)],
      all('/assets', ['etcd', 'kube-apiserver', 'kubectl']),
      [],
    ],
    [
      'KUBEBUILDER_ASSETS without kubectl: tests that need one look on the PATH themselves',
      apiLevelPrograms,
      '/assets',
      all('/assets', ['etcd', 'kube-apiserver']),
      all('/assets', ['etcd', 'kube-apiserver']),
      [],
    ],
    [
      'KUBEBUILDER_ASSETS without an API server is told, not mended by a build',
      apiLevelPrograms,
      '/assets',
      all('/cache', API),
      undefined,
      'KUBEBUILDER_ASSETS=/assets has no etcd, kube-apiserver',
    ],
    [
      'a node cannot do without a controller manager',
      nodeLevelPrograms,
      '/assets',
      all('/assets', ['etcd', 'kube-apiserver', 'kubectl', 'kubelet']),
      undefined,
      'KUBEBUILDER_ASSETS=/assets has no kube-controller-manager, kube-scheduler, kube-proxy',
    ],
    [
      'a node needs more to be built',
      nodeLevelPrograms,
      undefined,
      all('/cache', API),
      all('/cache', API),
      NODE.slice(4),
    ],
  ] as ReadonlyArray<
    readonly [
      string,
      ReadonlyArray<Program>,
      string | undefined,
      ReadonlyArray<string>,
      ReadonlyArray<string> | undefined,
      ReadonlyArray<Program> | string,
    ]
  >)
    it(what, () => {
      const places = { assets, cache: '/cache', path: ['/usr/local/bin', '/usr/bin'] };
      const choice = choosePrograms(names, places, (path) => there.includes(path));
      if (E.isLeft(choice)) expect([undefined, choice.left]).to.deep.equal([from, missing]);
      else expect([[...choice.right.found.values()], choice.right.missing]).to.deep.equal([from, missing]);
    });
});
