/** Which pod a session token stands for: asked of the API server, never read out of the token here. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { firstValueFrom, map } from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { PodUid } from '../../model/ids.js';
import { SESSION_AUDIENCE } from '../../model/names.js';
import { tokenReviews } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import type { PodIdentity } from './server.js';

const Review = t.type({
  status: t.partial({
    authenticated: t.boolean,
    error: t.string,
    audiences: t.array(t.string),
    user: t.partial({ username: t.string, extra: t.record(t.string, t.array(t.string)) }),
  }),
});

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/;

const identityOf = (body: unknown): E.Either<EffectError, PodIdentity> => {
  const refused = (message: string): E.Either<EffectError, PodIdentity> =>
    E.left({ kind: 'Unauthorized', message });
  const review = Review.decode(body);
  if (E.isLeft(review)) return refused('the API server answered the TokenReview with something else');
  const { authenticated, error, audiences, user } = review.right.status;
  if (!authenticated) return refused(`the session token is not valid${error ? `: ${error}` : ''}`);
  if (!audiences?.includes(SESSION_AUDIENCE))
    return refused(`the session token is not meant for ${SESSION_AUDIENCE}`);
  const namespace = SERVICE_ACCOUNT.exec(user?.username ?? '')?.[1];
  const podName = user?.extra?.['authentication.kubernetes.io/pod-name']?.[0];
  const podUid = PodUid.decode(user?.extra?.['authentication.kubernetes.io/pod-uid']?.[0]);
  if (namespace === undefined || podName === undefined || E.isLeft(podUid))
    return refused('the session token is not bound to a pod');
  return E.right({ namespace, podName, podUid: podUid.right });
};

/** Asks the API server who holds the token. */
export const reviewSessionToken =
  (kube: KubePort) =>
  (token: string): Promise<E.Either<EffectError, PodIdentity>> =>
    firstValueFrom(
      kube
        .create(tokenReviews, '', {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token, audiences: [SESSION_AUDIENCE] },
        })
        .pipe(map(E.chain(identityOf))),
    );
