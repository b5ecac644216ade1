/**
 * Who does the guide's kubectl steps? kubectl, where there is one on the PATH, else the same requests by our own
 * client. Either way the manifest goes to the API server and is judged there.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import * as yaml from 'js-yaml';
import { firstValueFrom } from 'rxjs';

import type { KubeClient } from '../io/kube/client.js';
import { objectPath } from '../io/kube/paths.js';
import { persistentVolumeClaims, runs, runtimes } from '../model/resources.js';
import { type Ended, quoted } from './call.js';
import type { Stage } from './stage.js';

/** Where the guide's manifests are. */
const FILES = fileURLToPath(new URL('./guide/', import.meta.url));

/** What was done, as one would type it, and what came of it. */
export type Done = Readonly<{ typed: string; ended: Pick<Ended, 'code' | 'output' | 'ms'> }>;

export type Kubernetes = Readonly<{
  /** Says who does it, for the demo's head. */
  who: string;
  /** Applies a file of `guide/`. */
  apply: (file: string) => Promise<Done>;
  /** Merge-patches a Run: the guide's cancellation. */
  patchRun: (name: string, patch: unknown) => Promise<Done>;
  /** The text of a file of `guide/`. */
  manifest: (file: string) => string;
}>;

const manifest = (file: string): string => readFileSync(`${FILES}${file}`, 'utf8');
const shown = (file: string): string => relative(process.cwd(), `${FILES}${file}`);

/** Version of the kubectl on the PATH; undefined when there is none that runs. */
const kubectlVersion = async (stage: Stage): Promise<string | undefined> => {
  const Answer = t.type({ clientVersion: t.type({ gitVersion: t.string }) });
  try {
    const { code, stdout } = await stage.program('kubectl', ['version', '--client', '-o', 'json']);
    if (code !== 0) return undefined;
    const answer = Answer.decode(JSON.parse(stdout));
    return E.isRight(answer) ? answer.right.clientVersion.gitVersion : undefined;
  } catch {
    return undefined;
  }
};

const byKubectl = (stage: Stage, version: string): Kubernetes => {
  const kubectl = async (args: ReadonlyArray<string>): Promise<Done> => ({
    typed: `kubectl ${args.map(quoted).join(' ')}`,
    ended: await stage.program('kubectl', ['--kubeconfig', stage.kubeconfig, ...args]),
  });
  return {
    who: `kubectl ${version} of this machine`,
    apply: (file) => kubectl(['apply', '-f', shown(file)]),
    patchRun: (name, patch) =>
      kubectl(['patch', 'run', name, '--type', 'merge', '-p', JSON.stringify(patch)]),
    manifest,
  };
};

const Identified = t.type({ apiVersion: t.string, kind: t.string, metadata: t.type({ name: t.string }) });
const KINDS = [runs, runtimes, persistentVolumeClaims];

const byClient = (client: KubeClient): Kubernetes => {
  const send = async (
    typed: string,
    effect: ReturnType<KubeClient['patch']>,
    done: string,
  ): Promise<Done> => {
    const startedMs = performance.now();
    const answer = await firstValueFrom(effect);
    const ms = performance.now() - startedMs;
    return E.isRight(answer)
      ? { typed, ended: { code: 0, output: done, ms } }
      : { typed, ended: { code: 1, output: answer.left.message, ms } };
  };
  const applyOne = async (document: unknown): Promise<Done> => {
    const object = Identified.decode(document);
    if (E.isLeft(object)) throw new Error('a manifest has no kind or no name');
    const { kind, metadata } = object.right;
    const resource = KINDS.find((each) => each.kind === kind);
    if (!resource) throw new Error(`the demo cannot apply a ${kind} without kubectl`);
    const ref = { namespace: 'default', name: metadata.name };
    return send(
      `PATCH ${objectPath(resource, ref)}   (server-side apply of the manifest)`,
      client.patch(
        resource,
        ref,
        { type: 'apply', body: document, fieldManager: 'kruntimes-demo', force: false },
        { fieldValidation: 'Strict' },
      ),
      `${kind} ${metadata.name} applied`,
    );
  };
  return {
    who: 'the API directly; there is no kubectl to use',
    apply: async (file) => {
      const all: Done[] = [];
      for (const document of yaml.loadAll(manifest(file))) all.push(await applyOne(document));
      return {
        typed: all.map(({ typed }) => typed).join('\n'),
        ended: {
          code: Math.max(0, ...all.map(({ ended }) => ended.code)),
          output: all.map(({ ended }) => ended.output).join('\n'),
          ms: all.reduce((sum, { ended }) => sum + ended.ms, 0),
        },
      };
    },
    patchRun: (name, patch) => {
      const ref = { namespace: 'default', name };
      return send(
        `PATCH ${objectPath(runs, ref)}   (merge patch) ${JSON.stringify(patch)}`,
        client.patch(runs, ref, { type: 'merge', body: patch }),
        `Run ${name} patched`,
      );
    },
    manifest,
  };
};

/** `wantsKubectl: false` does without it even where there is one. */
export const openKubernetes = async (
  stage: Stage,
  client: KubeClient,
  wantsKubectl: boolean,
): Promise<Kubernetes> => {
  const version = wantsKubectl ? await kubectlVersion(stage) : undefined;
  return version === undefined ? byClient(client) : byKubectl(stage, version);
};
