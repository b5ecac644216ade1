/**
 * The session CA in its Secret: read, made on first use, and replaced by a new one.
 *
 * Several operators may do so at once; the API decides, and whoever loses takes what the other wrote.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { secrets } from '../../model/resources.js';
import type { KubePort, ObjectRef } from '../../ports.js';
import { type Authority, createAuthority } from './certificates.js';

/** Annotation, of any value, by which somebody asks for a new CA. */
export const ROTATE_KEY = 'kruntimes.io/rotate';

const Base64 = new t.Type<string, string, unknown>(
  'Base64',
  t.string.is,
  (u, context) =>
    typeof u === 'string' ? t.success(Buffer.from(u, 'base64').toString()) : t.failure(u, context),
  (text) => Buffer.from(text).toString('base64'),
);

/** The Secret, as far as it is ours; what else it has is kept. */
export const AuthoritySecret = t.type({
  metadata: t.intersection([
    t.type({ name: t.string, resourceVersion: t.string }),
    t.partial({ annotations: t.record(t.string, t.string) }),
  ]),
  data: t.intersection([
    t.type({ 'tls.crt': Base64, 'tls.key': Base64 }),
    t.partial({ 'vouched.crt': Base64 }),
  ]),
});
export type AuthoritySecret = t.TypeOf<typeof AuthoritySecret>;

/** The CA in it. */
export const authorityOf = ({ data }: AuthoritySecret): Authority => ({
  certificate: data['tls.crt'],
  privateKey: data['tls.key'],
  vouched: data['vouched.crt'] ?? '',
});

const dataOf = ({ certificate, privateKey, vouched }: Authority): AuthoritySecret['data'] => ({
  'tls.crt': certificate,
  'tls.key': privateKey,
  ...(vouched === '' ? {} : { 'vouched.crt': vouched }),
});

/** The CA in the Secret, made if there is none: then `before`, if given, vouches for it. */
export const ensureAuthority = async (
  kube: KubePort,
  ref: ObjectRef,
  before?: Authority,
): Promise<E.Either<EffectError, Authority>> => {
  const known = await firstValueFrom(kube.get(secrets, ref));
  if (E.isRight(known)) {
    const secret = AuthoritySecret.decode(known.right);
    return E.isRight(secret)
      ? E.right(authorityOf(secret.right))
      : E.left({
          kind: 'Invalid',
          message: `Secret ${ref.namespace}/${ref.name}, which is to hold the session CA, lacks tls.crt or tls.key; delete it to have it made anew`,
        });
  }
  if (known.left.kind !== 'NotFound') return known;
  const authority = await createAuthority(before);
  const created = await firstValueFrom(
    kube.create(secrets, ref.namespace, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: ref.name, labels: { 'app.kubernetes.io/name': 'kruntimes' } },
      stringData: dataOf(authority),
    }),
  );
  if (E.isRight(created)) return E.right(authority);
  return created.left.kind === 'AlreadyExists' ? ensureAuthority(kube, ref, before) : created;
};

/** Puts a new CA, for which this one vouches, into the Secret. A Left `Conflict` says that another was quicker. */
export const replaceAuthority = async (
  kube: KubePort,
  ref: ObjectRef,
  secret: AuthoritySecret,
): Promise<E.Either<EffectError, unknown>> => {
  const { [ROTATE_KEY]: _, ...annotations } = secret.metadata.annotations ?? {};
  return firstValueFrom(
    kube.replace(
      secrets,
      ref,
      AuthoritySecret.encode({
        ...secret,
        metadata: { ...secret.metadata, annotations },
        data: dataOf(await createAuthority(authorityOf(secret))),
      }),
    ),
  );
};
