/** POST serviceaccounts/NAME/token: a token for the account, usually bound to a Pod. */
import type { ServiceAccountTokens } from '../auth/service-account-tokens.js';
import { apiAudience } from '../auth/service-account-tokens.js';
import { badRequest, conflict, invalid, notFound } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { isObject, objectOf, textOf, textsOf } from '../json.js';
import { wireTime } from '../object.js';
import type { Call } from '../verbs/call.js';
import { currentOf } from '../verbs/update.js';

/** Shortest and longest life of a token, seconds, as kube-apiserver's. */
const minSeconds = 600;
const maxSeconds = 2 ** 32;

/** The answered TokenRequest. Throws 404 for an unknown account or Pod, 422 for an expiry out of bounds. */
export const requestToken = (call: Call, tokens: ServiceAccountTokens, body: Json): JsonObject => {
  const account = currentOf(call).object;
  const spec = objectOf(objectOf(body).spec);
  const seconds = typeof spec.expirationSeconds === 'number' ? spec.expirationSeconds : 3600;
  if (seconds < minSeconds || seconds > maxSeconds) {
    throw invalid('authentication.k8s.io', 'TokenRequest', '', [
      {
        type: 'Invalid',
        field: 'spec.expirationSeconds',
        value: seconds,
        detail:
          seconds < minSeconds
            ? 'may not specify a duration less than 10 minutes'
            : 'may not specify a duration larger than 2^32 seconds',
      },
    ]);
  }
  const audiences = textsOf(spec.audiences);
  const wanted = audiences.length === 0 ? [apiAudience] : audiences;
  const namespace = call.info.namespace;
  const reference = spec.boundObjectRef;
  let pod: { name: string; uid: string } | undefined;
  if (isObject(reference)) {
    const name = textOf(reference.name);
    if (reference.kind !== 'Pod')
      throw invalid('authentication.k8s.io', 'TokenRequest', '', [
        {
          type: 'NotSupported',
          field: 'spec.boundObjectRef.kind',
          value: textOf(reference.kind),
          detail: 'supported values: "Pod"',
        },
      ]);
    const stored = call.backend.store.head('/pods', namespace, name)?.object;
    if (stored === undefined) throw notFound({ group: '', plural: 'pods' }, name);
    if (textOf(objectOf(stored.spec).serviceAccountName) !== account.metadata.name) {
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to pod running with different serviceaccount name.`,
      );
    }
    const uid = stored.metadata.uid ?? '';
    if (textOf(reference.uid) !== '' && textOf(reference.uid) !== uid) {
      throw conflict(
        { group: '', plural: 'pods' },
        name,
        `the UID in the bound object reference (${textOf(reference.uid)}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    pod = { name, uid };
  }
  const nowMs = call.backend.nowMs();
  const token = tokens.issue(
    namespace,
    { name: account.metadata.name ?? '', uid: account.metadata.uid ?? '' },
    wanted,
    nowMs,
    seconds,
    pod,
  );
  return {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: account.metadata.name ?? '', namespace, creationTimestamp: wireTime(nowMs) },
    spec: {
      audiences: wanted,
      expirationSeconds: seconds,
      boundObjectRef: isObject(reference) ? reference : null,
    },
    status: { token, expirationTimestamp: wireTime(nowMs + seconds * 1000) },
  };
};
