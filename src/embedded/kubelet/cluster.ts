/** The Kubernetes API as this kubelet uses it: each call one promise of one answer. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import type { Resource } from '../../model/resource.js';
import { configMaps, persistentVolumeClaims, secrets, serviceAccounts } from '../../model/resources.js';
import type { Effect, KubePort, ObjectRef } from '../../ports.js';
import type { Pod } from './pod.js';

export type Answer<A> = E.Either<EffectError, A>;

export const ask = <A>(effect: Effect<A>): Promise<Answer<A>> => firstValueFrom(effect);

const Data = t.partial({ data: t.record(t.string, t.string), binaryData: t.record(t.string, t.string) });

/** Content of a ConfigMap or Secret by key; undefined when there is no such object. */
export type Content = ReadonlyMap<string, Buffer> | undefined;

const readData = async (kube: KubePort, resource: Resource, ref: ObjectRef): Promise<Answer<Content>> => {
  const answer = await ask(kube.get(resource, ref));
  if (E.isLeft(answer)) return answer.left.kind === 'NotFound' ? E.right(undefined) : answer;
  const decoded = Data.decode(answer.right);
  if (E.isLeft(decoded))
    return E.left({
      kind: 'Invalid',
      message: `${resource.kind} ${ref.namespace}/${ref.name} holds something other than text`,
    });
  const isSecret = resource.plural === secrets.plural;
  const content = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(decoded.right.data ?? {}))
    content.set(key, Buffer.from(value, isSecret ? 'base64' : 'utf8'));
  for (const [key, value] of Object.entries(decoded.right.binaryData ?? {}))
    content.set(key, Buffer.from(value, 'base64'));
  return E.right(content);
};

export const readConfigMap = (kube: KubePort, ref: ObjectRef): Promise<Answer<Content>> =>
  readData(kube, configMaps, ref);
export const readSecret = (kube: KubePort, ref: ObjectRef): Promise<Answer<Content>> =>
  readData(kube, secrets, ref);

const IssuedToken = t.type({ status: t.type({ token: t.string, expirationTimestamp: t.string }) });

export type PodToken = Readonly<{ token: string; expiresAtMs: number }>;

/** A token of the Pod's service account, bound to the Pod, so that it dies with it. */
export const requestToken = async (
  kube: KubePort,
  pod: Pod,
  audience: string | undefined,
  expirationSeconds: number,
): Promise<Answer<PodToken>> => {
  const name = pod.spec.serviceAccountName ?? 'default';
  const answer = await ask(
    kube.create(
      serviceAccounts,
      pod.metadata.namespace,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: { name, namespace: pod.metadata.namespace },
        spec: {
          ...(audience === undefined ? {} : { audiences: [audience] }),
          expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
        },
      },
      { subresource: 'token' },
    ),
  );
  if (E.isLeft(answer)) return answer;
  const decoded = IssuedToken.decode(answer.right);
  return E.isLeft(decoded)
    ? E.left({
        kind: 'Invalid',
        message: `the API server answered the token request of ${name} without a token`,
      })
    : E.right({
        token: decoded.right.status.token,
        expiresAtMs: Date.parse(decoded.right.status.expirationTimestamp),
      });
};

const Claim = t.partial({
  spec: t.partial({
    accessModes: t.array(t.string),
    resources: t.partial({ requests: t.record(t.string, t.union([t.string, t.number])) }),
  }),
  status: t.partial({ phase: t.string }),
});

/** Marks a claim as bound, as its folder stands for it; a Left when there is no such claim. */
export const bindClaim = async (kube: KubePort, ref: ObjectRef): Promise<Answer<unknown>> => {
  const answer = await ask(kube.get(persistentVolumeClaims, ref));
  if (E.isLeft(answer)) return answer;
  const decoded = Claim.decode(answer.right);
  if (E.isLeft(decoded) || decoded.right.status?.phase === 'Bound') return E.right(undefined);
  const { spec } = decoded.right;
  return ask(
    kube.patch(
      persistentVolumeClaims,
      ref,
      {
        type: 'merge',
        body: {
          status: {
            phase: 'Bound',
            accessModes: spec?.accessModes ?? ['ReadWriteOnce'],
            capacity: spec?.resources?.requests ?? {},
          },
        },
      },
      { subresource: 'status' },
    ),
  );
};
