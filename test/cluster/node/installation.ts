/**
 * The release that all files of this folder test: charts/kruntimes in kruntimes-system, whose pods must satisfy the
 * restricted Pod Security Standard, and the guide's Runtime in namespace default. Made by the first that asks.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { findHelm } from '../../charts/helm.js';
import { attach, type ControlPlane } from '../../e2e/attach.js';
import type { NodeLevel } from './node-level.js';
import { hear, type Said } from './said.js';
import { theNode } from './the-node.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Path of a file of the project. */
export const projectFile = (path: string): string => join(root, path);

/** Where the operator runs. */
export const SYSTEM = 'kruntimes-system';
/** Time that pods get to be ready, milliseconds. */
export const READY_LIMIT_MS = 120_000;

/** A node with kruntimes on it. */
export type Installation = Readonly<{
  node: NodeLevel;
  plane: ControlPlane;
  kubeconfig: string;
  /** Calls kubectl, krt or helm as the administrator; rejects when it fails. */
  kubectl: (args: ReadonlyArray<string>, input?: string) => Promise<string>;
  krt: (args: ReadonlyArray<string>) => Promise<string>;
  helm: (args: ReadonlyArray<string>) => Promise<string>;
  /** The same, whatever comes of it. */
  say: (program: string, args: ReadonlyArray<string>, input?: string) => Promise<Said>;
}>;

/** A namespace that admits pods of the restricted standard alone. */
export const restrictedNamespace = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name,
    labels: {
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/enforce-version': 'latest',
    },
  },
});

const install = async (): Promise<Installation> => {
  const node = await theNode();
  const helmPath = findHelm();
  if (helmPath === undefined) throw new Error('there is no helm');
  const kubeconfig = node.api.kubeconfig('user', node.api.token('admin'));
  const home = join(node.machine.folder, 'home');
  const env = {
    ...process.env,
    KUBECONFIG: kubeconfig,
    HOME: home,
    KUBECACHEDIR: join(home, 'cache'),
    NO_COLOR: '1',
  };
  const say: Installation['say'] = (program, args, input) => hear([program, ...args], { env, input });
  const ok =
    (program: string, ...first: ReadonlyArray<string>) =>
    async (args: ReadonlyArray<string>, input?: string): Promise<string> => {
      const { code, out, err } = await say(program, [...first, ...args], input);
      if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}: ${err}${out}`);
      return out;
    };
  const kubectl = ok('kubectl');
  const helm = ok(helmPath);
  await kubectl(['apply', '-f', '-'], JSON.stringify(restrictedNamespace(SYSTEM)));
  await helm([
    'install',
    'kruntimes',
    projectFile('charts/kruntimes'),
    `--namespace=${SYSTEM}`,
    '--set=images.tag=latest',
    '--wait',
    '--timeout=3m',
  ]);
  await kubectl(['apply', '-f', projectFile('src/demo/guide/runtime.yaml')]);
  const plane = await attach({
    dataDir: node.machine.folder,
    kubeconfig,
    pidsOf: (program) => node.machine.pidsOf(program),
    stop: async () => undefined,
  });
  const krt = ok(process.execPath, projectFile('dist/krt.js'));
  try {
    await plane.whenReady('bash', 2, READY_LIMIT_MS);
  } catch (error) {
    // Its watches would keep mocha from ending.
    await plane.stop();
    throw error;
  }
  return { node, plane, kubeconfig, kubectl, helm, krt, say };
};

let installed: Promise<Installation> | undefined;

/** The installation, made if it is not. */
export const theInstallation = (): Promise<Installation> => {
  installed ??= install();
  return installed;
};

after(async () => {
  await installed?.then(({ plane }) => plane.stop()).catch(() => undefined);
});
