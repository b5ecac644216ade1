/** ServiceAccount tokens: signed JWTs (ES256) with audiences, an expiry and, usually, the Pod they are bound to. */
import type { KeyObject } from 'node:crypto';
import { createPrivateKey, createPublicKey, randomUUID, sign, verify } from 'node:crypto';
import { isLeft } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { Store } from '../store/store.js';
import type { User } from './user.js';
import { podNameExtra, podUidExtra } from './user.js';

/** Audience of tokens for this API, and their issuer. */
export const apiAudience = 'https://kubernetes.default.svc.cluster.local';

const Bound = t.type({ name: t.string, uid: t.string });
const Claims = t.type({
  aud: t.array(t.string),
  exp: t.number,
  iat: t.number,
  iss: t.string,
  nbf: t.number,
  sub: t.string,
  'kubernetes.io': t.intersection([
    t.type({ namespace: t.string, serviceaccount: Bound }),
    t.partial({ pod: Bound }),
  ]),
});
type Claims = t.TypeOf<typeof Claims>;

/** A named object that a token belongs to. */
export type BoundObject = Readonly<{ name: string; uid: string }>;

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs and checks tokens with one key. */
export class ServiceAccountTokens {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  /** Signatures that were found good, by token; checking one costs more than all the rest of a small request. */
  readonly #verified = new Map<string, Claims>();

  constructor(keyPem: string) {
    this.#privateKey = createPrivateKey(keyPem);
    this.#publicKey = createPublicKey(this.#privateKey);
  }

  /** A new token. `nowMs` and `seconds` give its life; `pod` binds it to a Pod. */
  issue(
    namespace: string,
    account: BoundObject,
    audiences: readonly string[],
    nowMs: number,
    seconds: number,
    pod: BoundObject | undefined,
  ): string {
    const now = Math.floor(nowMs / 1000);
    const claims: Claims & { jti: string } = {
      aud: [...audiences],
      exp: now + seconds,
      iat: now,
      iss: apiAudience,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        serviceaccount: { ...account },
        ...(pod === undefined ? {} : { pod: { ...pod } }),
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${account.name}`,
    };
    const text = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.#privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  /**
   * The user of a token and the audiences it is good for; undefined when it is not ours, over, or its ServiceAccount
   * or Pod is gone.
   */
  check(
    token: string,
    nowMs: number,
    store: Store,
  ): { user: User; audiences: readonly string[] } | undefined {
    const claims = this.#claims(token);
    if (claims === undefined || claims.iss !== apiAudience) return undefined;
    const now = nowMs / 1000;
    // Not that it was issued in the future: we issued it, and the clock has been set back since.
    if (claims.exp <= now) {
      this.#verified.delete(token);
      return undefined;
    }
    const { namespace, serviceaccount, pod } = claims['kubernetes.io'];
    if (
      store.get('/serviceaccounts', namespace, serviceaccount.name)?.object.metadata.uid !==
      serviceaccount.uid
    )
      return undefined;
    if (pod !== undefined && store.get('/pods', namespace, pod.name)?.object.metadata.uid !== pod.uid)
      return undefined;
    const user: User = {
      name: claims.sub,
      uid: serviceaccount.uid,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      ...(pod === undefined ? {} : { extra: { [podNameExtra]: [pod.name], [podUidExtra]: [pod.uid] } }),
    };
    return { user, audiences: claims.aud };
  }

  #claims(token: string): Claims | undefined {
    const known = this.#verified.get(token);
    if (known !== undefined) return known;
    const [head = '', body = '', signature = '', ...rest] = token.split('.');
    if (rest.length > 0 || signature === '') return undefined;
    const isGood = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      { key: this.#publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    if (!isGood) return undefined;
    const decoded = Claims.decode(JSON.parse(Buffer.from(body, 'base64url').toString()));
    if (isLeft(decoded)) return undefined;
    if (this.#verified.size >= 10_000) this.#verified.clear();
    this.#verified.set(token, decoded.right);
    return decoded.right;
  }
}
